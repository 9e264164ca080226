"""Reading manifests: what containers say about themselves, and which of them KServe reads."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from inferencegraph.check.problem import Finding, warning

PREDICTOR_CONTAINER: Final = "kserve-container"
COLLOCATED_TRANSFORMER: Final = "transformer-container"
ROLES: Final = ("predictor", "transformer")
# Options that tell a server over how many accelerators of one pod to spread a model.
_TENSOR_PARALLEL: Final = ("--tensor-parallel-size", "--tensor_parallel_size", "--tp-size", "--tp")


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
    by_role = {role: containers(component) for role, component in components(service)}
    if by_role.get("transformer"):
        return "spec.transformer.containers[0]", by_role["transformer"][0]
    inside = by_role.get("predictor", [])
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
    """The value of `--option=value` or `--option value`; None where the option is absent."""
    words = [
        str(w) for w in (*sequence(container.get("command")), *sequence(container.get("args")))
    ]
    for index, word in enumerate(words):
        if word.startswith(f"{option}="):
            return word.partition("=")[2]
        if word == option:
            return words[index + 1] if index + 1 < len(words) else ""
    return None


def accelerators(container: Mapping[str, Any]) -> dict[str, str]:
    """Extended resources (`vendor.com/device`) and how many of each the container is limited to."""
    limits = mapping(mapping(container.get("resources")).get("limits"))
    return {name: str(count) for name, count in limits.items() if "/" in str(name)}


def check_accelerators(container: Mapping[str, Any], field: str) -> Iterator[Finding]:
    """Over how many accelerators a model is spread."""
    limits = accelerators(container)
    spread = next(filter(None, (argument(container, option) for option in _TENSOR_PARALLEL)), None)
    if spread and spread.isdecimal() and len(limits) == 1:
        (name, count), *_ = limits.items()
        if count.isdecimal() and int(spread) > int(count):
            yield warning(
                f"{field}.args",
                f"spreads the model over {spread} accelerators, but {name} is {count}",
            )
