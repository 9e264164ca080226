"""scikit-learn's handwritten digits, and which of them nobody may train on.

1,797 real images of 8 by 8 pixels, 0 to 16, from the test set of the UCI "Optical Recognition of
Handwritten Digits" (E. Alpaydin, C. Kaynak, 1998, CC BY 4.0). Half of each class is for testing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedKFold, train_test_split

CLASSES: Final = 10
SIDE: Final = 8
LARGEST: Final = 16.0  # of a pixel
SPLIT_SEED: Final = 2026
FOLDS: Final = 5

Images = NDArray[np.float32]
Labels = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Digits:
    """`images` FP32 [N, 8, 8] in 0 to 16, `labels` [N]; `indices` are those of load_digits()."""

    images: Images
    labels: Labels
    indices: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    def rows(self, chosen: NDArray[Any]) -> "Digits":
        return Digits(self.images[chosen], self.labels[chosen], self.indices[chosen])

    def folds(self) -> Iterator[tuple["Digits", NDArray[np.int64]]]:
        """(the rest, rows held out) five times; each row is held out once."""
        splitter = StratifiedKFold(FOLDS, shuffle=True, random_state=SPLIT_SEED)
        for rest, held_out in splitter.split(self.labels, self.labels):
            yield self.rows(rest), held_out


def split(seed: int = SPLIT_SEED) -> tuple[Digits, Digits]:
    """Training and test halves, stratified by class. The shipped models know the default one."""
    shipped = load_digits()
    whole = Digits(
        shipped.images.astype(np.float32),
        shipped.target.astype(np.int64),
        np.arange(len(shipped.target)),
    )
    train, test = train_test_split(
        whole.indices, test_size=0.5, stratify=whole.labels, random_state=seed
    )
    return whole.rows(np.sort(train)), whole.rows(np.sort(test))
