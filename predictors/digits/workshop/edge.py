"""The edge model: multinomial logistic regression on the pixels, 650 numbers."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegressionCV

from predictors.digits.workshop.data import (
    CLASSES,
    LARGEST,
    SIDE,
    SPLIT_SEED,
    Digits,
)
from predictors.digits.workshop.network import Weights

# Inverse strengths of regularisation to choose from, by log-loss on folds of the training images.
STRENGTHS: Final = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)


def fit(train: Digits) -> Weights:
    """`weight` [64, 10] and `bias` [10], for pixels in [0, 1]."""
    model = LogisticRegressionCV(
        Cs=STRENGTHS,
        cv=[(np.setdiff1d(np.arange(len(train)), held), held) for _, held in train.folds()],
        scoring="neg_log_loss",
        l1_ratios=(0.0,),
        use_legacy_attributes=False,
        max_iter=2000,
        random_state=SPLIT_SEED,
    )
    model.fit(flat(train), train.labels)
    weights: NDArray[np.float64] = model.coef_.T
    assert weights.shape == (SIDE * SIDE, CLASSES)
    return {
        "weight": weights.astype(np.float32),
        "bias": model.intercept_.astype(np.float32),
    }


def flat(digits: Digits) -> NDArray[np.float32]:
    return digits.images.reshape(len(digits), -1) / np.float32(LARGEST)
