"""Where a pod may run: tolerations, selectors, affinity, spread over nodes."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from inferencegraph.check.containers import mapping, sequence
from inferencegraph.check.core.metadata import check_labels
from inferencegraph.check.core.syntax import (
    at_least,
    is_number,
    label_value,
    one_of,
    qualified_name,
    wrong,
)
from inferencegraph.check.problem import Finding, error

_EFFECTS: Final = ("", "NoSchedule", "PreferNoSchedule", "NoExecute")
_UNSATISFIABLE: Final = ("DoNotSchedule", "ScheduleAnyway")
_POLICIES: Final = ("Honor", "Ignore")
_NODE_OPERATORS: Final = ("In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt")
_LABEL_OPERATORS: Final = ("In", "NotIn", "Exists", "DoesNotExist")
_LARGEST_WEIGHT: Final = 100
_REQUIRED: Final = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED: Final = "preferredDuringSchedulingIgnoredDuringExecution"


def check_scheduling(pod: Mapping[str, Any], field: str) -> Iterator[Finding]:
    yield from check_labels(pod.get("nodeSelector"), f"{field}.nodeSelector")
    for index, toleration in enumerate(sequence(pod.get("tolerations"))):
        yield from _check_toleration(mapping(toleration), f"{field}.tolerations[{index}]")
    yield from _check_spread(pod.get("topologySpreadConstraints"), field)
    affinity = mapping(pod.get("affinity"))
    yield from _check_node_affinity(
        mapping(affinity.get("nodeAffinity")), f"{field}.affinity.nodeAffinity"
    )
    for name in ("podAffinity", "podAntiAffinity"):
        yield from _check_pod_affinity(mapping(affinity.get(name)), f"{field}.affinity.{name}")


def _check_toleration(toleration: Mapping[str, Any], field: str) -> Iterator[Finding]:
    operator, effect = toleration.get("operator"), toleration.get("effect")
    yield from wrong(f"{field}.key", toleration.get("key") or None, qualified_name)
    yield from one_of(f"{field}.operator", operator or None, ("Equal", "Exists"), "operator")
    yield from one_of(f"{field}.effect", effect, _EFFECTS, "effect")
    if not toleration.get("key") and operator != "Exists":
        yield error(f"{field}.operator", "must be Exists where there is no key")
    if operator == "Exists" and toleration.get("value"):
        yield error(f"{field}.value", "must be empty with the operator Exists; remove it")
    elif operator != "Exists":
        yield from wrong(f"{field}.value", toleration.get("value"), label_value)
    if toleration.get("tolerationSeconds") is not None and effect != "NoExecute":
        yield error(
            f"{field}.effect", f"must be NoExecute with tolerationSeconds, not {effect or ''!r}"
        )


def _check_spread(constraints: Any, field: str) -> Iterator[Finding]:
    seen = set()
    for index, each in enumerate(sequence(constraints)):
        part, place = mapping(each), f"{field}.topologySpreadConstraints[{index}]"
        key, otherwise = part.get("topologyKey"), part.get("whenUnsatisfiable")
        if not is_number(part.get("maxSkew")):
            yield error(f"{place}.maxSkew", "is missing, but required")
        yield from at_least(f"{place}.maxSkew", part.get("maxSkew"), 1)
        yield from at_least(f"{place}.minDomains", part.get("minDomains"), 1)
        if not key:
            yield error(f"{place}.topologyKey", "is missing, but required")
        yield from wrong(f"{place}.topologyKey", key or None, qualified_name)
        if not otherwise:
            yield error(f"{place}.whenUnsatisfiable", "is missing, but required")
        yield from one_of(f"{place}.whenUnsatisfiable", otherwise, _UNSATISFIABLE, "value")
        if part.get("minDomains") is not None and otherwise == "ScheduleAnyway":
            yield error(f"{place}.minDomains", "is for whenUnsatisfiable: DoNotSchedule")
        for policy in ("nodeAffinityPolicy", "nodeTaintsPolicy"):
            yield from one_of(f"{place}.{policy}", part.get(policy), _POLICIES, "policy")
        yield from check_selector(part.get("labelSelector"), f"{place}.labelSelector")
        both = (str(key), str(otherwise))
        if both in seen:
            yield error(place, f"{key} with {otherwise} stands there twice; keep one")
        seen.add(both)


def check_selector(selector: Any, field: str) -> Iterator[Finding]:
    """A label selector."""
    part = mapping(selector)
    yield from check_labels(part.get("matchLabels"), f"{field}.matchLabels")
    for index, each in enumerate(sequence(part.get("matchExpressions"))):
        place = f"{field}.matchExpressions[{index}]"
        yield from _check_expression(mapping(each), place, _LABEL_OPERATORS)


def _check_expression(
    part: Mapping[str, Any], field: str, operators: tuple[str, ...]
) -> Iterator[Finding]:
    operator, values = part.get("operator"), sequence(part.get("values"))
    if not part.get("key"):
        yield error(f"{field}.key", "is missing, but required")
    yield from wrong(f"{field}.key", part.get("key") or None, qualified_name)
    if not operator:
        yield error(f"{field}.operator", "is missing, but required")
    yield from one_of(f"{field}.operator", operator, operators, "operator")
    if operator in ("In", "NotIn"):
        if not values:
            yield error(f"{field}.values", f"the operator {operator} needs some")
        for index, value in enumerate(values):
            yield from wrong(f"{field}.values[{index}]", value, label_value)
    elif operator in ("Exists", "DoesNotExist") and values:
        yield error(f"{field}.values", f"must be empty with the operator {operator}")
    elif operator in ("Gt", "Lt") and (
        len(values) != 1 or not str(values[0]).lstrip("+-").isdecimal()
    ):
        yield error(f"{field}.values", f"the operator {operator} needs one whole number")


def _check_node_affinity(affinity: Mapping[str, Any], field: str) -> Iterator[Finding]:
    required = affinity.get(_REQUIRED)
    if required is not None:
        place = f"{field}.{_REQUIRED}.nodeSelectorTerms"
        terms = sequence(mapping(required).get("nodeSelectorTerms"))
        if not terms:
            yield error(place, "is missing, but required")
        for index, term in enumerate(terms):
            yield from _check_term(mapping(term), f"{place}[{index}]")
    for index, each in enumerate(sequence(affinity.get(_PREFERRED))):
        part, place = mapping(each), f"{field}.{_PREFERRED}[{index}]"
        yield from _check_weight(part, place)
        if not isinstance(part.get("preference"), dict):
            yield error(f"{place}.preference", "is missing, but required")
        yield from _check_term(mapping(part.get("preference")), f"{place}.preference")


def _check_term(term: Mapping[str, Any], field: str) -> Iterator[Finding]:
    for name in ("matchExpressions", "matchFields"):
        for index, each in enumerate(sequence(term.get(name))):
            place = f"{field}.{name}[{index}]"
            yield from _check_expression(mapping(each), place, _NODE_OPERATORS)


def _check_pod_affinity(affinity: Mapping[str, Any], field: str) -> Iterator[Finding]:
    for index, term in enumerate(sequence(affinity.get(_REQUIRED))):
        yield from _check_pod_term(mapping(term), f"{field}.{_REQUIRED}[{index}]")
    for index, each in enumerate(sequence(affinity.get(_PREFERRED))):
        part, place = mapping(each), f"{field}.{_PREFERRED}[{index}]"
        yield from _check_weight(part, place)
        yield from _check_pod_term(mapping(part.get("podAffinityTerm")), f"{place}.podAffinityTerm")


def _check_pod_term(term: Mapping[str, Any], field: str) -> Iterator[Finding]:
    if not term.get("topologyKey"):
        yield error(f"{field}.topologyKey", "is missing, but required")
    yield from wrong(f"{field}.topologyKey", term.get("topologyKey") or None, qualified_name)
    yield from check_selector(term.get("labelSelector"), f"{field}.labelSelector")


def _check_weight(part: Mapping[str, Any], field: str) -> Iterator[Finding]:
    weight = part.get("weight")
    if not is_number(weight) or not 1 <= weight <= _LARGEST_WEIGHT:
        yield error(f"{field}.weight", f"must be from 1 to {_LARGEST_WEIGHT}, not {weight!r}")
