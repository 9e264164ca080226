"""Which ServingRuntime serves a model."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from inferencegraph.check.containers import mapping, sequence
from inferencegraph.check.problem import Objects

_V1, _V2 = "v1", "v2"
# Predictors that name a format instead of a model, and are taken for one of that format.
FRAMEWORKS: Final = (
    *("sklearn", "tensorflow", "xgboost", "pytorch", "triton", "onnx", "huggingface", "pmml"),
    *("lightgbm", "paddle"),
)
_V2_FRAMEWORKS: Final = ("triton", "onnx", "huggingface")
_V2_FORMATS: Final = ("triton", "vLLM")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a model asks of a runtime. `field`: where the model stands in its predictor."""

    field: str
    format: str
    version: str | None
    protocol: str
    spec: Mapping[str, Any]

    @property
    def named(self) -> str | None:
        name = self.spec.get("runtime")
        return name if isinstance(name, str) and name else None

    def is_served_by(self, formats: Any, protocols: Any) -> bool:
        """Whether a runtime that chooses by itself takes the model."""
        known = sequence(protocols)
        return (not known or self.protocol in known) and any(
            mapping(entry).get("name") == self.format
            and mapping(entry).get("autoSelect") is True
            and self.version in (None, mapping(entry).get("version"))
            for entry in sequence(formats)
        )


def wanted(predictor: Mapping[str, Any]) -> Wanted | None:
    """None for a predictor of containers."""
    model = predictor.get("model")
    if isinstance(model, dict):
        form = mapping(model.get("modelFormat"))
        name = str(form.get("name") or "")
        protocol = model.get("protocolVersion") or (_V2 if name in _V2_FORMATS else _V1)
        version = form.get("version")
        known = str(version) if version is not None else None
        return Wanted("model", name, known, str(protocol), model)
    for name in FRAMEWORKS:
        if isinstance(model := predictor.get(name), dict):
            protocol = model.get("protocolVersion") or (_V2 if name in _V2_FRAMEWORKS else _V1)
            return Wanted(name, name, None, str(protocol), model)
    return None


def selected(
    model: Wanted, runtimes: Objects, multi_node: bool
) -> tuple[str, Mapping[str, Any]] | None:
    """Name and object of the runtime that the model names, or else of the first that takes it;
    None where it isn't among `runtimes`."""
    if model.named is not None:
        found = runtimes.get(model.named)
        return (model.named, found) if found is not None else None
    for name in sorted(runtimes, key=lambda name: (-_priority(model, runtimes[name]), name)):
        spec = mapping(runtimes[name].get("spec"))
        if (
            spec.get("disabled") is not True
            and spec.get("multiModel") is not True
            and ("workerSpec" in spec) == multi_node
            and model.is_served_by(spec.get("supportedModelFormats"), spec.get("protocolVersions"))
        ):
            return name, runtimes[name]
    return None


def _priority(model: Wanted, runtime: Mapping[str, Any]) -> int:
    formats = sequence(mapping(runtime.get("spec")).get("supportedModelFormats"))
    for entry in formats:
        priority = mapping(entry).get("priority")
        if mapping(entry).get("name") == model.format and isinstance(priority, int):
            return priority
    return 0


# KServe's own ClusterServingRuntimes: protocols, and formats with the versions that choose them.
_OWN: Final[dict[str, tuple[Sequence[str], dict[str, Sequence[str]]]]] = {
    "kserve-autogluonserver": ((_V1, _V2), {"autogluon": ("1",)}),
    "kserve-huggingfaceserver": ((_V2, _V1), {"huggingface": ("1",)}),
    "kserve-lgbserver": ((_V1, _V2), {"lightgbm": ("4",)}),
    "kserve-mlserver": (
        (_V2,),
        {
            "sklearn": ("0", "1"),
            "xgboost": ("1", "2"),
            "lightgbm": ("3", "4"),
            "mlflow": ("1", "2"),
        },
    ),
    "kserve-openvino": (
        (_V1, _V2, "grpc-v2"),
        {"openvino": ("10",), "onnx": ("1",), "tensorflow": ("1",), "huggingface": ()},
    ),
    "kserve-paddleserver": ((_V1, _V2), {"paddle": ("2",)}),
    "kserve-pmmlserver": ((_V1, _V2), {"pmml": ("3", "4")}),
    "kserve-sklearnserver": ((_V1, _V2), {"sklearn": ("1",)}),
    "kserve-tensorflow-serving": ((_V1, "grpc-v1"), {"tensorflow": ("1", "2")}),
    "kserve-torchserve": ((_V1, _V2, "grpc-v2"), {"pytorch": ("1",)}),
    "kserve-tritonserver": (
        (_V2, "grpc-v2"),
        {"tensorrt": ("8",), "tensorflow": ("1", "2"), "onnx": ("1",), "triton": ("2",)},
    ),
    "kserve-vllmserver": ((), {"vLLM": ("1",)}),
    "kserve-xgbserver": ((_V1, _V2), {"xgboost": ("2",)}),
}
_OWN_MULTI_NODE: Final = {
    "kserve-huggingfaceserver-multinode": ((_V2, _V1), {"huggingface": ("1",)})
}


def is_served_by_kserve(model: Wanted, multi_node: bool) -> bool:
    """Whether one of the runtimes that KServe ships takes the model by itself."""
    own = _OWN_MULTI_NODE if multi_node else _OWN
    return any(
        model.is_served_by(list(_entries(formats)), list(protocols))
        for protocols, formats in own.values()
    )


def _entries(formats: Mapping[str, Sequence[str]]) -> Iterator[dict[str, Any]]:
    for name, versions in formats.items():
        for version in versions or (None,):
            yield {"name": name, "version": version, "autoSelect": True}
