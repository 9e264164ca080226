"""The tag that KServe gives a runtime's image."""

import re
from collections.abc import Mapping
from typing import Any, Final

from inferencegraph.check.containers import accelerators, mapping

_SERVER_TYPE: Final = "serving.kserve.io/server-type"
# KServe's own runtimes, which are known by name too.
_SERVERS: Final = {
    "kserve-huggingfaceserver": "huggingfaceserver",
    "kserve-tensorflow-serving": "tensorflow-serving",
    "kserve-torchserve": "torchserve",
    "kserve-vllmserver": "vllmserver",
}
_GPU_TAGS: Final = ("huggingfaceserver", "tensorflow-serving", "torchserve")
_TAG: Final = re.compile(r":[\w.-]*$")


def image_of(
    container: Mapping[str, Any], version: Any, runtime: str, annotations: Mapping[str, Any]
) -> Any:
    """`version`: the model's runtimeVersion; `annotations`: of the runtime's metadata."""
    image = container.get("image")
    if not isinstance(image, str) or "@sha256:" in image:
        return image
    tag = _TAG.search(image)
    name = image[: tag.start()] if tag else image
    if version is not None:
        return f"{name}:{version}"
    server = annotations.get(_SERVER_TYPE) or _SERVERS.get(runtime)
    if tag is None or server is None:
        return image
    if accelerators(container):
        return f"{image}-gpu" if server in _GPU_TAGS and not image.endswith("-gpu") else image
    if server == "vllmserver" and not name.endswith("-cpu"):
        return f"{name}-cpu{tag[0]}"
    return image


def annotations_of(runtime: Mapping[str, Any]) -> Mapping[str, Any]:
    return mapping(mapping(runtime.get("metadata")).get("annotations"))
