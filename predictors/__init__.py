"""Ground floor: answers. KServe predictors, their engines, and the V2 contract.

contract/   names, Query, Answer, tensors: the V2 contract, to and from kserve's objects
serving/    the server, and the predictor's kserve model
engines/    what answers: the seam, and one folder per engine
cache/      answers that were computed before
upstream/   the one room for calling another server
tracing/    traces, where they are asked for
servers/    model servers that ship in images of ours
embedded/, digits/   shipped models

`__main__` is `python -m predictors`; the other files serve all floors, and `protocol` is the old
name of `contract`. This floor imports nothing of the floors above.
"""

import logging

# transformers imports torchao wherever it is installed. Whatever the model, torchao then logs which
# of its CUDA kernels a CPU build of torch can't load, and torch logs how torchao registers enums.
for _name in ("torchao", "torch.utils._pytree"):
    logging.getLogger(_name).setLevel(logging.ERROR)
