"""Probes, and what runs when a container starts or stops."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from inferencegraph.check.containers import mapping, sequence
from inferencegraph.check.core.syntax import (
    at_least,
    one_choice,
    one_of,
    port_name,
    port_number,
    wrong,
)
from inferencegraph.check.problem import Finding, error

_HANDLERS: Final = ("exec", "httpGet", "tcpSocket", "grpc")
_HOOKS: Final = ("exec", "httpGet", "tcpSocket", "sleep")
_SCHEMES: Final = ("HTTP", "HTTPS")
_COUNTS: Final = (
    *("initialDelaySeconds", "timeoutSeconds", "periodSeconds"),
    *("successThreshold", "failureThreshold"),
)
PROBES: Final = ("startupProbe", "livenessProbe", "readinessProbe")


def check_probes(container: Mapping[str, Any], field: str) -> Iterator[Finding]:
    for name in PROBES:
        if isinstance(container.get(name), dict):
            yield from _check_probe(container[name], f"{field}.{name}", name)
    for name, hook in mapping(container.get("lifecycle")).items():
        if isinstance(hook, dict):
            yield from _check_handler(hook, f"{field}.lifecycle.{name}", _HOOKS)


def _check_probe(probe: Mapping[str, Any], field: str, name: str) -> Iterator[Finding]:
    yield from _check_handler(probe, field, _HANDLERS)
    for count in _COUNTS:
        yield from at_least(f"{field}.{count}", probe.get(count), 0)
    grace = "terminationGracePeriodSeconds"
    if name == "readinessProbe":
        if probe.get(grace) is not None:
            yield error(f"{field}.{grace}", "has no meaning for readiness; remove it")
        return
    yield from at_least(f"{field}.{grace}", probe.get(grace), 1)
    if probe.get("successThreshold") not in (None, 0, 1):
        yield error(
            f"{field}.successThreshold",
            f"must be 1 but for readiness, not {probe['successThreshold']!r}",
        )


def _check_handler(
    part: Mapping[str, Any], field: str, handlers: tuple[str, ...]
) -> Iterator[Finding]:
    given = [name for name in handlers if part.get(name) is not None]
    yield from one_choice(field, given, handlers, "handler")
    if "exec" in given and not sequence(mapping(part["exec"]).get("command")):
        yield error(f"{field}.exec.command", "is missing, but required")
    if "httpGet" in given:
        yield from _check_http(mapping(part["httpGet"]), f"{field}.httpGet")
    if "tcpSocket" in given:
        yield from _check_port(mapping(part["tcpSocket"]), f"{field}.tcpSocket")
    if "grpc" in given:
        yield from _check_port(mapping(part["grpc"]), f"{field}.grpc")
    if "sleep" in given:
        yield from at_least(f"{field}.sleep.seconds", mapping(part["sleep"]).get("seconds"), 0)


def _check_http(action: Mapping[str, Any], field: str) -> Iterator[Finding]:
    yield from _check_port(action, field)
    yield from one_of(f"{field}.scheme", action.get("scheme"), _SCHEMES, "scheme")
    for index, header in enumerate(sequence(action.get("httpHeaders"))):
        if not mapping(header).get("name"):
            yield error(f"{field}.httpHeaders[{index}].name", "is missing, but required")


def _check_port(action: Mapping[str, Any], field: str) -> Iterator[Finding]:
    port = action.get("port")
    if port is None or port == "":
        yield error(f"{field}.port", "is missing, but required")
    yield from port_number(f"{field}.port", port)
    yield from wrong(f"{field}.port", port or None, port_name)
