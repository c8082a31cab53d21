from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from osanas.errors import UsageError
from osanas.tasks.stratify import stratified_split, subset

LABELS = st.lists(st.integers(0, 4), min_size=1, max_size=80).map(lambda values: np.array(values, dtype=np.int64))


@given(labels=LABELS, share=st.floats(0, 1), seed=st.integers(0, 2**31))
def test_a_split_is_a_partition_in_which_classes_keep_their_share(
    labels: np.ndarray[tuple[int, ...], np.dtype[np.int64]], share: float, seed: int
) -> None:
    members = np.arange(len(labels))
    size = int(share * len(labels))
    rest, chosen = stratified_split(members, labels, size, seed)
    assert len(chosen) == size
    assert sorted([*rest, *chosen]) == list(members)
    for label in set(labels.tolist()):
        exact = (labels == label).sum() * size / len(labels)
        assert abs((labels[chosen] == label).sum() - exact) < 1
    again = stratified_split(members, labels, size, seed)
    assert np.array_equal(again[1], chosen)


def test_the_seed_decides() -> None:
    labels = np.repeat(np.arange(3), 50)
    splits = [stratified_split(np.arange(150), labels, 30, seed)[1].tolist() for seed in (0, 1)]
    assert splits[0] != splits[1]


def test_only_members_are_chosen() -> None:
    labels = np.arange(20) % 2
    members = np.array([1, 4, 5, 8, 11, 16])
    rest, chosen = stratified_split(members, labels, 4, 0)
    assert {*rest, *chosen} == set(members)


def test_subset_bounds() -> None:
    labels = np.arange(20) % 4
    members = np.arange(20)
    assert subset(members, labels, None, 0) is members
    assert len(subset(members, labels, 20, 0)) == 20
    assert np.array_equal(np.bincount(labels[subset(members, labels, 8, 0)]), [2, 2, 2, 2])
    with pytest.raises(UsageError, match=r"21 training images were asked for, and there are 20\..*at most 20"):
        subset(members, labels, 21, 0)
    with pytest.raises(UsageError, match=r"3 training images were asked for, and there are 4 classes\..*at least 4"):
        subset(members, labels, 3, 0)
