"""Names for the arrays that the rooms pass to each other; a docstring says their shapes."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Values = NDArray[np.float32]  # what models and their files hold
Flags = NDArray[np.bool_]
Indices = NDArray[np.int64]
