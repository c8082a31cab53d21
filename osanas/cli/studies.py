"""``osanas studies``, ``osanas show`` and ``osanas pareto``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from osanas.cli.options import Json, Storage, open_view, print_json

if TYPE_CHECKING:
    from osanas.results.study import StudyView

Study = Annotated[str, typer.Argument(metavar="STUDY", help="A study's name or its study file.")]


def studies(storage: Storage = None, json: Json = False) -> None:
    """List the studies of this folder, or of a database."""
    from osanas.cli.render.studies import print_studies

    document = {"studies": _summaries(storage)}
    print_json(document) if json else print_studies(document)


def show(
    study: Study,
    trial: Annotated[int | None, typer.Argument(min=0, metavar="[TRIAL]", help="A trial's number.")] = None,
    storage: Storage = None,
    json: Json = False,
) -> None:
    """List every trial of a study, or show one with its learning curve and architecture."""
    from osanas.cli.render.studies import print_trial, print_trials
    from osanas.results.documents import show_document, trial_document

    view = open_view(study, storage)
    if trial is None:
        document = show_document(view)
        print_json(document) if json else print_trials(document)
    else:
        document = trial_document(view, trial)
        print_json(document) if json else print_trial(document)


def pareto(
    study: Study,
    storage: Storage = None,
    all_rungs: Annotated[
        bool,
        typer.Option(
            "--all-rungs", metavar="", help="Compare candidates after any number of epochs, not after the most alone."
        ),
    ] = False,
    json: Json = False,
) -> None:
    """List the Pareto-efficient candidates of a study, by rising cost. Exit code 1 if there is none."""
    print_pareto(open_view(study, storage), all_rungs=all_rungs, as_json=json)


def print_pareto(view: StudyView, *, as_json: bool, all_rungs: bool = False) -> None:
    """Prints the front of a study; one without candidates as JSON alone.

    Raises:
        SearchFailed: There is no candidate on it.
    """
    from osanas.cli.render.studies import print_front
    from osanas.errors import SearchFailed
    from osanas.results.documents import pareto_document

    document = pareto_document(view, all_rungs=all_rungs)
    is_empty = not document["candidates"]
    if as_json:
        print_json(document)
    elif not is_empty:
        print_front(document)
    if is_empty and document["other_key"]:
        raise SearchFailed(
            f"The study '{view.name}' has no trained candidate that was measured with the present device and software; "
            f"{document['other_key']} were measured before these changed.",
            "Run its search again with --remeasure.",
        )
    if is_empty:
        raise SearchFailed(
            f"The study '{view.name}' has no trained candidate within its limits.",
            "Let the search go on, or relax a limit; 'osanas show' lists the trials.",
        )


def _summaries(storage: str | None) -> list[dict[str, Any]]:
    from osanas.errors import OsanasError
    from osanas.results.places import STUDIES, storage_url
    from osanas.store.store import Store

    databases = [storage] if storage else [storage_url(path.parent.name, None) for path in STUDIES.glob("*/study.db")]
    rows = []
    for url in sorted(databases):
        try:
            store = Store.open(url)
        except OsanasError as error:
            if storage:
                raise
            typer.echo(f"note: {error}", err=True)  # one bad file must not hide the other studies
            continue
        rows += [{"study": summary.name, **vars(summary)} for summary in store.summaries()]
        store.close()
    for row in rows:
        del row["name"]
    return sorted(rows, key=lambda row: float(row["created_at"]))
