"""Probes, and what runs when a container starts and before it stops."""

from collections.abc import Iterator
from typing import Final

from inferencegraph.check.containers import mapping
from inferencegraph.check.pods.parts import (
    Part,
    check_choices,
    check_port,
    check_ranges,
    check_required,
    check_syntax,
    parts,
    whole,
)
from inferencegraph.check.pods.syntax import HEADER_NAME
from inferencegraph.check.problem import Finding, error

_INT32: Final = (1 << 31) - 1
PROBES: Final = ("livenessProbe", "readinessProbe", "startupProbe")
_HOOKS: Final = ("postStart", "preStop")
_HANDLERS: Final = ("exec", "httpGet", "tcpSocket", "grpc")
_HOOK_HANDLERS: Final = ("exec", "httpGet", "tcpSocket", "sleep")
_SECONDS: Final = dict.fromkeys(
    (
        *("initialDelaySeconds", "timeoutSeconds", "periodSeconds"),
        *("successThreshold", "failureThreshold"),
    ),
    (0, _INT32),
)
_GRACE: Final = "terminationGracePeriodSeconds"


def check_probes(container: Part, field: str, grace_seconds: int | None) -> Iterator[Finding]:
    """`grace_seconds`: how long the pod has to stop."""
    for name in PROBES:
        if isinstance(probe := container.get(name), dict):
            yield from _check_probe(name, probe, f"{field}.{name}")
    for name in _HOOKS:
        if isinstance(hook := mapping(container.get("lifecycle")).get(name), dict):
            at = f"{field}.lifecycle.{name}"
            yield from _check_handler(hook, at, _HOOK_HANDLERS)
            seconds = whole(mapping(hook.get("sleep")).get("seconds"))
            limit = _INT32 if grace_seconds is None else grace_seconds
            if seconds is not None and not 0 <= seconds <= limit:
                yield error(
                    f"{at}.sleep.seconds",
                    f"is {seconds}; it must be 0 to {limit}, the pod's {_GRACE}",
                )


def _check_probe(name: str, probe: Part, field: str) -> Iterator[Finding]:
    yield from _check_handler(probe, field, _HANDLERS)
    yield from check_ranges(probe, field, _SECONDS)
    threshold = whole(probe.get("successThreshold"))
    if name != "readinessProbe" and threshold is not None and threshold > 1:
        yield error(f"{field}.successThreshold", f"is {threshold}; for a {name} it must be 1")
    if name == "readinessProbe" and probe.get(_GRACE) is not None:
        yield error(f"{field}.{_GRACE}", "must not be set for a readinessProbe")
    yield from check_ranges(probe, field, {_GRACE: (1, _INT32)})


def _check_handler(part: Part, field: str, handlers: tuple[str, ...]) -> Iterator[Finding]:
    given = [name for name in handlers if part.get(name) is not None]
    if not given:
        yield error(field, f"needs one of {', '.join(handlers)}")
    for extra in given[1:]:
        yield error(f"{field}.{extra}", f"there is {given[0]} already; keep one")
    handler = {name: part[name] for name in given[:1] if isinstance(part[name], dict)}
    for name, action in handler.items():
        at = f"{field}.{name}"
        if name == "exec":
            yield from check_required(action, at, ("command",))
        elif name != "sleep":
            yield from check_port(action.get("port"), f"{at}.port")
        if name == "httpGet":
            yield from check_choices(action, at, {"scheme": ("HTTP", "HTTPS")})
            for header, place in parts(action.get("httpHeaders"), f"{at}.httpHeaders"):
                yield from check_required(header, place, ("name",))
                yield from check_syntax(header, place, {"name": HEADER_NAME})
