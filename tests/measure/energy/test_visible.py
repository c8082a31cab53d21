from __future__ import annotations

from unittest import mock

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from osanas.measure.energy.nvml_boards import Board
from osanas.measure.energy.visible import Visibility, visible_boards

UUIDS = ("GPU-8932f937-d72c", "GPU-8932aaaa-0000", "GPU-12345678-1111")


def _boards(*names: str) -> list[Board]:
    return [Board(None, index, uuid, name) for index, (uuid, name) in enumerate(zip(UUIDS, names, strict=True))]


EQUAL = _boards("A100", "A100", "A100")
MIXED = _boards("A100", "T4", "A100")


def _seen(value: str | None, boards: list[Board], order: str | None = None) -> Visibility:
    pairs = (("CUDA_VISIBLE_DEVICES", value), ("CUDA_DEVICE_ORDER", order))
    return visible_boards({name: text for name, text in pairs if text is not None}, boards)


@pytest.mark.parametrize(
    ("value", "indices"),
    [
        (None, (0, 1, 2)),
        ("", ()),
        ("-1", ()),
        ("NoDevFiles", ()),
        ("0", (0,)),
        ("2,0", (2, 0)),
        ("0,-1", (0,)),
        ("0,2,-1,1", (0, 2)),
        ("0,9,1", (0,)),
        (" 1, 2", (1, 2)),
        ("1gpu2,2ampere", (1, 2)),
        ("0,0", ()),
        ("0,1,0", ()),
        ("0,GPU-12345678", (0,)),
        ("GPU-12345678-1111", (2,)),
        ("GPU-1", (2,)),
        ("GPU-8932a,GPU-8932f", (1, 0)),
        ("GPU-8932", ()),
        ("GPU-1,GPU-nowhere,GPU-8932a", (2,)),
        ("GPU-1,0", (2,)),
        ("GPU-1,GPU-1", ()),
        ("GPU-1,GPU-12", ()),
        ("gpu-1", ()),
    ],
)
def test_the_list_is_read_as_cuda_reads_it(value: str | None, indices: tuple[int, ...]) -> None:
    assert _seen(value, EQUAL).indices == indices


@pytest.mark.parametrize(("value", "entry"), [("0,9,1", "9"), ("GPU-1,GPU-nowhere", "GPU-nowhere"), ("x", "x")])
def test_an_invalid_entry_is_named(value: str, entry: str) -> None:
    assert (
        _seen(value, EQUAL).note
        == f"CUDA_VISIBLE_DEVICES='{value}' is cut at its invalid entry '{entry}', as CUDA does"
    )


@pytest.mark.parametrize("value", [None, "", "-1", "0,-1", "2,0", "GPU-1"])
def test_what_is_usual_needs_no_note(value: str | None) -> None:
    assert _seen(value, EQUAL).note is None


@pytest.mark.parametrize(
    ("value", "order", "indices"),
    [
        ("1", None, None),
        ("1", "FASTEST_FIRST", None),
        ("1", "PCI_BUS_ID", (1,)),
        ("2,1,0", None, (2, 1, 0)),
        ("GPU-8932a", None, (1,)),
        ("", None, ()),
        (None, None, (0, 1, 2)),
    ],
)
def test_an_index_means_nvmls_order_only_where_cuda_counts_alike(
    value: str | None, order: str | None, indices: tuple[int, ...] | None
) -> None:
    found = _seen(value, MIXED, order)
    assert found.indices == indices
    assert found.shows(1) == (None if indices is None else 1 in indices)
    if indices is None:
        assert found.note is not None
        assert "CUDA_DEVICE_ORDER=PCI_BUS_ID" in found.note


@pytest.mark.parametrize("name", ["MIG-GPU-8932f937-d72c/1/0", "MIG-0b1e8f3a"])
def test_mig_instances_are_names_and_no_boards(name: str) -> None:
    found = _seen(f"{name},MIG-other", EQUAL)
    assert (found.indices, found.mig) == ((), (name,))
    assert found.note is not None


@given(st.lists(st.sampled_from(["0", "1", "2", "7", "-1", "", " 1", "2x", "x", "+1", "GPU-1"]), max_size=5))
def test_lists_of_indices_are_read_as_torch_reads_them(entries: list[str]) -> None:
    value = ",".join(entries)
    with mock.patch.dict("os.environ", {"CUDA_VISIBLE_DEVICES": value}):
        theirs = torch.cuda._parse_visible_devices()
    if value.startswith("GPU-"):
        theirs = torch.cuda._transform_uuid_to_ordinals([str(entry) for entry in theirs], list(UUIDS))
    existing = [index for index in theirs if isinstance(index, int)]
    until_invalid = existing[: next((at for at, index in enumerate(existing) if index >= 3), len(existing))]
    found = _seen(value, EQUAL).indices
    # torch looks for repetitions in the whole list, CUDA (and we) up to the first invalid entry
    assert found is not None
    assert list(found) == until_invalid or (existing == [] and len(set(entries)) < len(entries))
