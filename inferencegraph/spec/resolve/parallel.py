"""Over how many accelerators and nodes a model is spread: an engine's parallel sizes and `gpus`."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from inferencegraph.build.pods import Resources
from inferencegraph.spec.blocks import EngineConfig, LMDeployConfig, SGLangConfig, VLLMConfig
from inferencegraph.spec.faults import SpecFault
from inferencegraph.spec.resolve.options import written
from inferencegraph.spec.serving import Resource


@dataclass(frozen=True, slots=True)
class _Names:
    """An engine's block, and its fields with the sizes."""

    block: type[EngineConfig]
    tensor: str
    pipeline: str | None = None
    data: str | None = None


_VLLM: Final = _Names(
    VLLMConfig, "tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size"
)
# The engines that spread a model.
_NAMES: Final[Mapping[str, _Names]] = {
    "lmdeploy": _Names(LMDeployConfig, "tp"),
    "sglang": _Names(SGLangConfig, "tp_size", "pp_size", "dp_size"),
    "vllm": _VLLM,
    "vllm-server": _VLLM,
}
_OWN_WORDS: Final = ("parallel", "--tp", "--pp", "--dp")


@dataclass(frozen=True, slots=True)
class Spread:
    """The block and the resources of one pod, with what follows of each for the other. `nodes`: the
    pods that one model takes, `tensor` accelerators each where they are several."""

    block: EngineConfig | None
    resources: Resources
    tensor: int = 1
    nodes: int = 1


def spread_of(
    block: EngineConfig | None,
    engine: str,
    resource: Resource | None,
    resources: Resources,
    field: str,
) -> Spread:
    """Without `gpus` as many as the sizes say; without sizes the model is spread over all of them.
    Where `gpus` are `tensor`, and `pipeline` is more than 1, each stage is a node of its own.

    Raises SpecFault where the two contradict each other.
    """
    names = _NAMES.get(engine)
    if names is None or _says_itself(block):
        return Spread(block, resources)
    tensor, pipeline, data = (
        getattr(block, name, None) if name else None
        for name in (names.tensor, names.pipeline, names.data)
    )
    rest = (pipeline or 1) * (data or 1)
    gpus = _given(resource)
    if gpus and tensor is None:
        tensor, left = divmod(gpus, rest)
        if left:
            raise _contradiction(names, 1, pipeline or 1, data or 1, gpus, field)
        if tensor > 1:
            block = (block or names.block()).model_copy(update={names.tensor: tensor})
        return Spread(block, resources, tensor)
    tensor = tensor or 1
    if gpus is None and tensor * rest > 1:
        gpus = tensor * rest
        resources = replace(resources, gpus=gpus)
    if not gpus or gpus == tensor * rest:  # 0: on CPUs
        return Spread(block, resources, tensor)
    if gpus == tensor and rest == pipeline:
        return Spread(block, resources, tensor, rest)
    raise _contradiction(names, tensor, pipeline or 1, data or 1, gpus, field)


def sizes_left_out(block: EngineConfig | None, *names: str) -> EngineConfig | None:
    """The block without sizes that something else says."""
    return block and block.model_copy(update=dict.fromkeys(names))


def _given(resource: Resource | None) -> int | None:
    """None where the worker says nothing of them."""
    if resource is None:
        return None
    limits, requests = resource.limits.gpus, resource.requests.gpus
    return limits if limits is not None else requests


def _says_itself(block: EngineConfig | None) -> bool:
    """Whether sizes are among the block's further options, which are not read here."""
    words = [*(block.extra_args if block else ()), *(getattr(block, "engine_args", None) or {})]
    return any(own in word for word in words for own in _OWN_WORDS)


def _contradiction(
    names: _Names, tensor: int, pipeline: int, data: int, gpus: int, field: str
) -> SpecFault:
    sizes = [(names.tensor, tensor), (names.pipeline, pipeline), (names.data, data)]
    said = " x ".join(f"{written(name)} {size}" for name, size in sizes if name and size > 1)
    whole = tensor * pipeline * data
    mend = f"write {whole}"
    if pipeline > 1 and data == 1:
        mend += f", or {tensor} for {pipeline} nodes with {tensor} each"
    return SpecFault(
        f"{field}.resource.limits.gpus",
        f"is {gpus}, but {said or 'one copy of the model'} takes {whole}; {mend}, or change the "
        "sizes",
    )
