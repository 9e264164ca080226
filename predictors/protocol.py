"""The old name of `predictors.contract`, which earlier documentation printed."""

import warnings

from predictors.contract import *  # noqa: F403

warnings.warn(
    "predictors.protocol is now called predictors.contract; import from there",
    DeprecationWarning,
    stacklevel=2,
)
