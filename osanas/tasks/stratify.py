"""Seeded stratified choices: every class keeps its share."""

from __future__ import annotations

import numpy as np

from osanas.errors import UsageError

Indices = np.ndarray[tuple[int, ...], np.dtype[np.int64]]


def stratified_split(members: Indices, labels: Indices, size: int, seed: int) -> tuple[Indices, Indices]:
    """Takes ``size`` of ``members``, of each class its share (largest remainder, at most one image off).

    Args:
        members: Indices to choose among.
        labels: Class of every image, indexed by ``members``.
        size: How many to take, at most all.
        seed: Seed of the choice.

    Returns:
        The indices left and those taken, both ascending.
    """
    classes, class_sizes = np.unique(labels[members], return_counts=True)
    generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, len(members), size])))
    taken = []
    for label, count in zip(classes, _shares(class_sizes, size), strict=True):
        taken.append(generator.permutation(members[labels[members] == label])[:count])
    chosen = np.sort(np.concatenate(taken)) if taken else members[:0]
    return np.setdiff1d(members, chosen), chosen


def subset(members: Indices, labels: Indices, size: int | None, seed: int) -> Indices:
    """A stratified subset of the training images; all of them for None.

    Raises:
        UsageError: If there are fewer images, or fewer asked for than there are classes.
    """
    if size is None:
        return members
    check_subset(size, len(members), len(np.unique(labels[members])))
    return stratified_split(members, labels, size, seed)[1]


def check_subset(size: int, available: int, num_classes: int) -> None:
    """Refuses subsets of the training images that cannot be.

    Raises:
        UsageError: If there are fewer images, or fewer asked for than there are classes.
    """
    if size > available:
        raise UsageError(
            f"{size:,} training images were asked for, and there are {available:,}.",
            f"Give --train-samples at most {available}.",
        )
    if size < num_classes:
        raise UsageError(
            f"{size:,} training images were asked for, and there are {num_classes} classes.",
            f"Give --train-samples at least {num_classes}.",
        )


def _shares(class_sizes: Indices, size: int) -> Indices:
    exact = class_sizes * size / max(1, class_sizes.sum())
    shares: Indices = np.floor(exact).astype(np.int64)
    largest_remainders = np.argsort(shares - exact, kind="stable")[: size - shares.sum()]
    shares[largest_remainders] += 1
    return shares
