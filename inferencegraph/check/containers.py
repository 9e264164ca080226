"""What an InferenceService's containers say about themselves, and which of them KServe reads."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

PREDICTOR_CONTAINER: Final = "kserve-container"
COLLOCATED_TRANSFORMER: Final = "transformer-container"
ROLES: Final = ("predictor", "transformer")


def mapping(value: Any) -> Mapping[str, Any]:
    """`value` where it is a mapping; wrong types are another check's to report."""
    return value if isinstance(value, dict) else {}


def sequence(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def components(service: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Role and spec of each component that is written down."""
    spec = mapping(service.get("spec"))
    for role in ROLES:
        if spec.get(role) is not None:
            yield role, mapping(spec[role])


def containers(component: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [mapping(item) for item in sequence(component.get("containers"))]


def entry_container(service: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]] | None:
    """Path and container from which KServe takes a graph step's protocol and model name: the
    transformer's first, else the predictor's collocated transformer, else its first. None for a
    service without containers of its own (a ServingRuntime serves it)."""
    found = {role: containers(component) for role, component in components(service)}
    if found.get("transformer"):
        return "spec.transformer.containers[0]", found["transformer"][0]
    inside = found.get("predictor", [])
    for index, container in enumerate(inside):
        if container.get("name") == COLLOCATED_TRANSFORMER:
            return f"spec.predictor.containers[{index}]", container
    return ("spec.predictor.containers[0]", inside[0]) if inside else None


def environment(container: Mapping[str, Any], name: str) -> str | None:
    for entry in sequence(container.get("env")):
        if mapping(entry).get("name") == name:
            value = mapping(entry).get("value")
            return None if value is None else str(value)
    return None


def argument(container: Mapping[str, Any], option: str) -> str | None:
    """The value of `--option=value` or `--option value`; None where it is not given."""
    words = [
        str(w) for w in (*sequence(container.get("command")), *sequence(container.get("args")))
    ]
    for index, word in enumerate(words):
        if word.startswith(f"{option}="):
            return word.partition("=")[2]
        if word == option:
            return words[index + 1] if index + 1 < len(words) else ""
    return None
