"""Ground floor: answers. KServe predictors, their engines, and the V2 contract."""

import logging

# transformers imports torchao wherever it is installed; on import torchao says, whatever the model,
# which of its CUDA kernels a CPU build of torch can't load, and torch how torchao registers enums.
for _name in ("torchao", "torch.utils._pytree"):
    logging.getLogger(_name).setLevel(logging.ERROR)
