"""tritonclient's gRPC part, importable beside kserve.

Both packages generate Python from protobuf's package `inference`, and a pool of descriptors takes
each name once: whichever is imported second fails with `duplicate symbol` (kserve/kserve#3099).
So tritonclient's go into a pool of their own. On the wire both are the same.
"""

import importlib
from typing import Any

from google.protobuf import descriptor_pool


def _in_own_pool(module: str) -> Any:
    """The module, imported while generated code finds a fresh pool as the default one."""
    own, default = descriptor_pool.DescriptorPool(), descriptor_pool.Default
    descriptor_pool.Default = lambda: own
    try:
        return importlib.import_module(module)
    finally:
        descriptor_pool.Default = default


_aio = _in_own_pool("tritonclient.grpc.aio")
InferenceServerClient = _aio.InferenceServerClient
InferInput = _aio.InferInput
InferRequestedOutput = _aio.InferRequestedOutput
InferResult = _aio.InferResult
