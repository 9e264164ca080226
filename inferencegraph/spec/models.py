"""Model objects beside a spec: Sedna's, and our own group's, whose spec is a `model` of ours."""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import ValidationError

from inferencegraph.spec.faults import SpecFaults, findings_of
from inferencegraph.spec.report import Source
from inferencegraph.spec.sources import DEFAULT_SECRET, SCHEMES, SHIPPED, ModelSource
from predictors.errors import known

# MODEL_LOAD_MODE of Sedna's workers, which their Models may have as `format`, too. `url` is the
# proposal's word for the three of the example.
LOAD_MODES: Final = ("hf", "http", "https", "file", "url")
KEY_ADVICE: Final = (
    "put {what} into a Secret, as it stays out of manifests: kubectl create secret generic "
    f"{DEFAULT_SECRET.name} --from-file=key=FILE; with hem up: export PREDICTOR_API_KEY"
)
_API: Final = ("http://", "https://")
# Files of weights, which are fetched; what else is at a URL is a server.
_WEIGHTS: Final = (
    ".gguf",
    ".onnx",
    ".pt",
    ".pt2",
    ".safetensors",
    ".tar",
    ".tar.gz",
    ".tgz",
    ".torchscript",
    ".zip",
)
_FIELDS: Final = ("url", "format", "credentialName")
_CLASSIFIERS: Final = ("onnx", "pt", "pt2", "torchscript")
_UNSERVED: Final = ("ckpt", "h5", "pb", "pth", "savedmodel", "saved_model", "tflite")
_ON_THE_NODE: Final = (
    "Sedna mounts this path of the node; in a pod it would have to be in the image. Put the model "
    "into a claim, and write storageUri: pvc://CLAIM/PATH"
)


def own_model(content: Mapping[str, Any]) -> ModelSource:
    """A Model of our own group. Raises SpecFaults."""
    try:
        return ModelSource.model_validate(content.get("spec") or {})
    except ValidationError as fault:
        found = findings_of(fault, ModelSource)
        raise SpecFaults(
            [type(f)(f.severity, f"spec.{f.field}", f.message) for f in found]
        ) from None


def read_model(model: Source, mode: str | None, target: str) -> dict[str, str]:
    """The source of Sedna's Model as the spec's `model` at `target` has it, by the worker's
    MODEL_LOAD_MODE, by the Model's format, or by its looks. Empty where it can't be told."""
    model.mapped("metadata.name", f"{target}.name")
    for path in ("apiVersion", "kind", "metadata.namespace"):
        model.mapped(path, target)
    model.left_out("status", "is Sedna's")
    for name in model.get("metadata") or {}:
        if name not in ("name", "namespace"):
            model.left_out(f"metadata.{name}", "a spec has no object for it")
    model.left_out(
        "spec.credentialName",
        "KServe takes credentials from a ServiceAccount with the Secret: serviceAccount of the "
        "worker; an API's key from model.secret",
    )
    form = str(model.get("spec.format") or "").lower()
    told = form if form in LOAD_MODES else None
    # `url` is hf, http or https, as the format says.
    mode = told or mode if mode in (None, "url") else mode
    found = _source(model, mode, target)
    if told not in (None, mode):
        model.left_out("spec.format", f"MODEL_LOAD_MODE of the worker says {mode!r}")
    elif told is not None:
        model.mapped("spec.format", f"{target}.{next(iter(found), 'url')}")
    elif form in _CLASSIFIERS:
        engine = f"{target.rpartition('.')[0]}.inferenceConfig.engine"
        model.mapped("spec.format", engine, "the engine classifier")
    elif form in _UNSERVED:
        model.wrong(
            "spec.format",
            f"{form!r}: no engine here loads it; export the model to ONNX, and give its url",
        )
    else:
        model.left_out("spec.format", "the engine follows from the source, or inferenceConfig")
    model.rest(
        "", f"unknown field of Sedna's Model; {known('', ('url', 'format', 'credentialName'))}"
    )
    return found


def own_word(word: str) -> dict[str, str]:
    """A model as Ianvs names it, for transformers: a path, or a hub id."""
    return {"file" if word.startswith((*SHIPPED, "/", ".")) else "hub": word}


def engine_of_format(model: Mapping[str, Any]) -> str | None:
    """The engine that a Model's format asks for."""
    return "classifier" if str(model.get("format")).lower() in _CLASSIFIERS else None


def _source(model: Source, mode: str | None, target: str) -> dict[str, str]:
    url = model.get("spec.url")
    if not isinstance(url, str) or not url:
        model.missing("spec.url", "is required: where the model is")
        return {}
    field, value, word = _told(url, mode)
    if field is None:
        model.wrong("spec.url", word)
        return {}
    note = model.altered if word else model.mapped
    note("spec.url", f"{target}.{field}", word)
    return {field: value}


def _told(url: str, mode: str | None) -> tuple[str | None, str, str]:
    """Field, value, and what to say of it; no field where it can't be told."""
    bare = url.lstrip("/")
    if mode == "hf" or (mode == "url" and not url.startswith(_API)):
        return "hub", bare, ""
    if mode in ("http", "https", "url"):
        api = url if url.startswith(_API) else f"{mode}://{bare}"
        # As the example's own worker completes it.
        api = api.rstrip("/")
        return "url", api if api.endswith("/v1") else f"{api}/v1", ""
    if url.startswith(_API) and mode is None and not url.endswith(_WEIGHTS):
        return "url", url, "taken for an API's; KServe fetches it where it is model.storageUri"
    if url.startswith(SCHEMES):
        return "storageUri", url, ""
    if url.startswith(SHIPPED):
        return "file", url, ""
    if url.startswith("/"):
        return "file", url, _ON_THE_NODE
    if mode is None and url.count("/") == 1:
        return "hub", url, ""
    return (
        None,
        "",
        (
            f"{url!r} is no path, no hub id and none of {', '.join(SCHEMES)}; for a hub id or an "
            "API set MODEL_LOAD_MODE to hf or https"
        ),
    )
