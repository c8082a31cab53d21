"""The ``osanas`` command: its subcommands, and how errors reach the user."""

from __future__ import annotations

import os
import sys
import traceback
from importlib.metadata import version
from typing import Annotated

import typer

from osanas.cli import doctor, plan, profile, search, spaces, studies
from osanas.errors import OsanasError

app = typer.Typer(
    name="osanas",
    help="Search one-shot-aggregation (OSA, VoVNet) networks for the best trade of accuracy, measured latency and "
    "measured energy on your own device.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("search")(search.search)
app.command("plan")(plan.plan)
app.command("studies")(studies.studies)
app.command("show")(studies.show)
app.command("pareto")(studies.pareto)
app.command("spaces")(spaces.spaces)
app.command("profile")(profile.profile)
app.command("doctor")(doctor.doctor)


def _print_version(value: bool) -> None:
    if value:
        typer.echo(f"osanas {version('osanas')}")
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", metavar="", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", metavar="", callback=_print_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    del debug, version  # main() takes the first out, a callback handles the second; here they get their help


def main() -> None:
    """Entry point. Exit codes: 0 done, 1 not what was asked, 2 usage, 3 environment (resumable), 130 interrupted."""
    # Spinning OpenMP threads cost up to 20 times on a shared machine. Read once, when torch loads its runtime.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # Wherever it stands: who meets an error adds it at the end of the command.
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    debug = len(arguments) < len(sys.argv) - 1
    try:
        app(arguments, prog_name="osanas")
    except OsanasError as error:
        if debug:
            traceback.print_exc()
        print(f"error: {error.problem}", file=sys.stderr)  # noqa: T201
        if error.fix:
            print(f"  {error.fix.strip()}", file=sys.stderr)  # noqa: T201
        sys.exit(error.exit_code)
    except BrokenPipeError:  # the reader of a listing has seen enough
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115 - the interpreter flushes it at exit
        sys.exit(0)
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)  # noqa: T201
        sys.exit(130)


if __name__ == "__main__":
    main()
