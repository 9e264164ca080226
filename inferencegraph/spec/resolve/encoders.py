"""Whether a router's encoder runs by onnxruntime, which HEM's image has, or needs torch."""

from collections.abc import Mapping
from pathlib import Path


def needs_torch(algorithm: str, router: str | None, parameters: Mapping[str, str]) -> bool:
    """Of an algorithm of the table. A model that can't be looked at here, as it is at a hub or in a
    store, gets the image that runs both."""
    from transformers_hem.algorithms import ALGORITHMS
    from transformers_hem.routers.directory import locate
    from transformers_hem.routers.encoder.directory import ONNX_FILE
    from transformers_hem.routers.encoder.router import ENCODER, EncoderRouter

    if not issubclass(ALGORITHMS.load(algorithm), EncoderRouter):
        return False
    backend = parameters.get("backend", "auto")
    if backend != "auto":
        return backend == "torch"
    model = parameters.get("model")
    if model is None and router is not None and "://" not in router.removeprefix("file://"):
        model = str(locate(router) / ENCODER)
    return model is None or not (Path(model) / ONNX_FILE).is_file()
