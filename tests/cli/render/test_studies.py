"""What is printed of a study, from its documents."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import Any

import pytest

from osanas.cli.render import layout
from osanas.cli.render.studies import print_front, print_trial, print_trials
from osanas.genotype.space import SearchSpace
from osanas.results.savings import Savings
from osanas.strategy.signals import Signal, signals_document
from tests.fakes import SMALL

MEMBER = SearchSpace.from_dict(SMALL).smallest()
TRIAL: dict[str, Any] = {
    "trial": 3, "digest": MEMBER.digest, "status": "complete", "epochs": 9, "promoted_from": 1, "accuracy": 0.91234,
    "latency_ms": 1.2345, "energy_mj": None, "energy_source": None, "measurement_key": "m1:a", "reason": None,
    "parameters": 1_234_567, "multiply_adds": 22_600_000, "memory_access_elements": 7_766_000,
    "training_seconds": 12.0, "architecture": MEMBER.to_dict(), "repeat": 0,
}  # fmt: skip
STUDY: dict[str, Any] = {
    "study": "s", "score": "accuracy", "energy_source": None, "other_key": 0, "drifted": [], "rungs": [9],
    "savings": asdict(Savings(9, 0, 0, 0, 0)),
}  # fmt: skip
SINGLE: dict[str, Any] = {
    "accuracy_interval": None, "accuracy_of_seeds": [0.91234], "seeds": 1, "indistinct_from": None,
}  # fmt: skip
"""What the front tells of a candidate trained once, in a study that repeats nothing."""
FRONT: dict[str, Any] = {
    **STUDY,
    "objectives": [
        {"name": "accuracy", "direction": "maximize", "unit": "top1"},
        {"name": "latency_ms", "direction": "minimize", "unit": "ms"},
    ],
    "hypervolume": 0.123456, "reference_point": [0.0, 2.5], "measured": "full", "overtaken": 0,
    "seed_noise": None, "candidates": [{**TRIAL, **SINGLE}],
}  # fmt: skip


def renamed(row: dict[str, Any]) -> dict[str, Any]:
    """A trial of a task that judges by another score."""
    return {key.replace("accuracy", "dice"): value for key, value in row.items()}


def test_the_front(capsys: pytest.CaptureFixture[str]) -> None:
    print_front(FRONT)
    assert capsys.readouterr().out.splitlines() == [
        "s: 1 Pareto-efficient candidate by accuracy (maximize), latency_ms (minimize)",
        "                         latency  energy  params  mult-adds    memory",
        "trial  epochs  accuracy       ms      mJ       M          M  access M  architecture",
        f"    3       9    0.9123     1.23       -    1.23       22.6      7.77  {MEMBER}",
        "each accuracy is of a single training, and the best of many look better than they are",
        "hypervolume 0.1235, counted from accuracy 0, latency_ms 2.5",
        "latency and energy measured by the full protocol",
        "trained for 9 epochs in all",
    ]


def confirmed(trial: int, accuracy: float, half: float | None, seeds: int, like: int | None) -> dict[str, Any]:
    """A member of a front some of whose trainings were repeated."""
    interval = None if half is None else [accuracy - half, accuracy + half]
    told = {"accuracy_interval": interval, "accuracy_of_seeds": [accuracy] * seeds, "seeds": seeds}
    return {**TRIAL, "trial": trial, "accuracy": accuracy, **told, "indistinct_from": like}


CONFIRMED = {
    **FRONT,
    "seed_noise": {"deviation": 0.00712, "degrees_of_freedom": 6.0},
    "candidates": [
        confirmed(3, 0.9, 0.0123, 2, None),
        confirmed(4, 0.91, 0.0174, 1, 3),
        confirmed(5, 0.5, None, 1, None),
    ],
}


def test_a_front_of_repeated_trainings_tells_what_is_apart(capsys: pytest.CaptureFixture[str]) -> None:
    print_front(CONFIRMED)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:6] for line in lines[3:6]] == [
        ["3", "9", "0.9000", "0.0123", "2", "-"],
        ["4", "9", "0.9100", "0.0174", "1", "3"],
        ["5", "9", "0.5000", "-", "1", "-"],
    ]
    assert lines[2].split()[:6] == ["trial", "epochs", "accuracy", "95", "%", "seeds"]
    assert lines[6] == (
        "trainings of one network with different seeds differ by 0.0071 in accuracy (standard deviation); 'like trial' "
        "names one that costs no more and may be as good; the accuracy of members with 1 seed is of a single training, "
        "and the best of many look better than they are"
    )


def test_a_front_of_repeated_trainings_fits_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layout, "terminal_width", lambda: 80)
    print_front({**CONFIRMED, "energy_source": "estimated"})
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    together = next(line for line in lines if "seeds" in line)
    assert {"accuracy", "seeds", "ms", "estimated"} <= set(together.split())


def test_remarks_on_the_front(capsys: pytest.CaptureFixture[str]) -> None:
    savings = asdict(Savings(1000, 2000, 1, 3, 4))
    print_front({**FRONT, "overtaken": 2, "other_key": 1, "drifted": [3, 5], "rungs": [1, 9], "savings": savings})
    assert capsys.readouterr().out.splitlines()[-4:] == [
        "latency and energy measured by the full protocol; 2 candidates left the front by the full figures",
        "trained for 1,000 epochs in all, 2,000 fewer than if every candidate had been trained to the end (rungs 1, 9)"
        "; not trained: 1 duplicate, 3 over a limit, 4 that could not be built",
        "1 trained candidate left out, measured with another device, driver, version or setting; "
        "'osanas search' with --remeasure measures their front again",
        "measured while the device was faster or slower than before: trials 3, 5",
    ]


def test_all_trials(capsys: pytest.CaptureFixture[str]) -> None:
    failed = {**TRIAL, "trial": 4, "status": "failed", "promoted_from": None, "accuracy": None, "reason": "Too big."}
    print_trials({**STUDY, "energy_source": "rapl", "trials": [TRIAL, failed], "signals": None})
    assert capsys.readouterr().out.splitlines() == [
        "                         promoted            latency  energy mJ  params",
        "trial  status    epochs      from  accuracy       ms       rapl       M  "
        "architecture, or why it has no accuracy",
        f"    3  complete       9         1    0.9123     1.23          -    1.23  {MEMBER}",
        "    4  failed         9         -         -     1.23          -    1.23  Too big.",
        "trained for 9 epochs in all",
    ]


def test_a_repeat_is_called_so(capsys: pytest.CaptureFixture[str]) -> None:
    repeat = {**TRIAL, "trial": 5, "promoted_from": None, "repeat": 2}
    print_trials({**STUDY, "trials": [repeat], "signals": None})
    assert capsys.readouterr().out.splitlines()[2].endswith(f"  repeat 2 of {MEMBER}")
    print_trial({"study": "s", "score": "accuracy", **repeat, "curve": []})
    assert re.search(r"^repeat +2$", capsys.readouterr().out, re.MULTILINE)


def test_one_trial(capsys: pytest.CaptureFixture[str]) -> None:
    curve = [{"epoch": 1, "train_loss": 2.0, "val_loss": 1.5, "val_accuracy": 0.5, "seconds": 3.21}]
    print_trial({"study": "s", "score": "accuracy", **TRIAL, "curve": curve})
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:-2]] == [
        "study", "trial", "status", "digest", "epochs", "promoted_from", "accuracy", "latency_ms", "energy_mj",
        "parameters", "multiply_adds", "memory_access_elements", "measurement_key", "training_seconds",
        "architecture",
    ]  # fmt: skip
    assert "latency_ms              1.234" in lines
    assert lines[-2:] == [
        "epoch  train loss  val loss  val accuracy  seconds",
        "    1      2.0000    1.5000        0.5000     3.21",
    ]


def test_another_score_is_told_by_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    objectives = [{"name": "dice", "direction": "maximize", "unit": "mean Dice"}, FRONT["objectives"][1]]
    print_front({**FRONT, "score": "dice", "objectives": objectives, "candidates": [renamed({**TRIAL, **SINGLE})]})
    print_trials({**STUDY, "score": "dice", "trials": [renamed(TRIAL)], "signals": None})
    curve = [{"epoch": 1, "train_loss": 2.0, "val_loss": 1.5, "val_dice": 0.5, "seconds": 3.21}]
    print_trial({"study": "s", "score": "dice", **renamed(TRIAL), "curve": curve})
    out = capsys.readouterr().out
    assert "accuracy" not in out
    assert out.count("dice") == 8
    assert out.count("0.9123") == 3


def test_signals(capsys: pytest.CaptureFixture[str]) -> None:
    signals = [Signal("accuracy", 1, 0.912, 22), Signal("energy_mj", None, None, 3, "fewer than 8 candidates have it")]
    print_trials({**STUDY, "trials": [TRIAL], "signals": signals_document(signals, (1, 3, 9))})
    lines = capsys.readouterr().out.splitlines()
    lines = lines[lines.index("trained for 9 epochs in all") + 1 :]
    assert lines[0] == "Rank correlation with the accuracy after 9 epochs"
    assert re.fullmatch(r"accuracy at 1 +\+0\.91 +22", lines[2])
    assert re.fullmatch(r"energy_mj +- +3  fewer than 8 candidates have it", lines[3])
    assert lines[4].startswith("Only candidates trained to the end count.")
