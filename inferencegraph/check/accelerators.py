"""Accelerators of a container: Kubernetes' rule for them, and how many a model is spread over."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from inferencegraph.check.containers import argument, mapping
from inferencegraph.check.problem import (
    Finding,
    error,
    warning,
)

# Options by which servers are told over how many accelerators of one pod to spread a model.
_TENSOR_PARALLEL: Final = ("--tensor-parallel-size", "--tensor_parallel_size", "--tp-size", "--tp")


def accelerators(container: Mapping[str, Any]) -> dict[str, str]:
    """Extended resources (`vendor.com/device`) and how many of each the container is limited to."""
    limits = mapping(mapping(container.get("resources")).get("limits"))
    return {name: str(count) for name, count in limits.items() if "/" in str(name)}


def check_accelerators(container: Mapping[str, Any], field: str) -> Iterator[Finding]:
    requests = mapping(mapping(container.get("resources")).get("requests"))
    limits = accelerators(container)
    for name, count in requests.items():
        if "/" in str(name) and limits.get(str(name)) != str(count):
            yield error(
                f"{field}.resources",
                f"{name}: requests {count} and limits {limits.get(str(name), 'none')} differ; "
                "Kubernetes wants them equal",
            )
    spread = next(filter(None, (argument(container, option) for option in _TENSOR_PARALLEL)), None)
    if spread and spread.isdecimal() and len(limits) == 1:
        (name, count), *_ = limits.items()
        if count.isdecimal() and int(spread) > int(count):
            yield warning(
                f"{field}.args",
                f"spreads the model over {spread} accelerators, but {name} is {count}",
            )
