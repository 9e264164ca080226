"""Rows that a router is not fitted to: folds in turn, or parts set apart for good."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedKFold, train_test_split

from predictors.errors import ConfigurationError
from transformers_hem.labels.labels import Labels

FOLDS = 5
LEAST_OF_A_KIND = 2


@dataclass(frozen=True, slots=True)
class Split:
    """`train` is learned from, `validation` stops the training, `judged` gives the calibration,
    the threshold and the metrics: nothing else has seen it. `judged_rows` says which rows it is."""

    train: Labels
    validation: Labels
    judged: Labels
    judged_rows: NDArray[np.int64]


def folds(hard: NDArray[np.bool_], seed: int) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Pairs of rows to fit to and the other rows, five or as many as the rarer kind has rows; each
    row is among the others once, and hard ones are spread evenly. Two of either kind are needed."""
    smallest = int(min(hard.sum(), (~hard).sum()))
    parts = StratifiedKFold(min(FOLDS, smallest), shuffle=True, random_state=seed)
    return list(parts.split(hard, hard))


def split(labels: Labels, share: float, seed: int) -> Split:
    """`share` of the rows to validate on and as many to judge on, hard ones in equal parts.

    Raises ConfigurationError where a part would have fewer than two rows of a kind.
    """
    count = len(labels.queries)
    size = int(np.ceil(share * count))
    smallest = min(int(labels.hard.sum()), int((~labels.hard).sum()))
    if smallest * size / count < LEAST_OF_A_KIND:
        raise ConfigurationError(
            f"{count} rows, {smallest} of them of the rarer kind, are too few to set {share:.0%} "
            f"apart twice with at least {LEAST_OF_A_KIND} of either kind: give more rows, or train "
            "a LinearRouter"
        )
    rest, judged = train_test_split(
        np.arange(count), test_size=size, random_state=seed, stratify=labels.hard
    )
    train, validation = train_test_split(
        rest, test_size=size, random_state=seed, stratify=labels.hard[rest]
    )
    train, judged = np.sort(train), np.sort(judged)
    # Rows of like length are evaluated together, without padding.
    validation = np.array(sorted(validation, key=lambda row: len(labels.queries[row])))
    return Split(labels.subset(train), labels.subset(validation), labels.subset(judged), judged)
