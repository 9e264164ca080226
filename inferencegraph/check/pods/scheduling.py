"""Where pods may run: tolerations, affinity, spread over nodes."""

from collections.abc import Iterator
from typing import Any, Final

from inferencegraph.check.containers import mapping, sequence
from inferencegraph.check.pods.parts import (
    Part,
    check_choices,
    check_labels,
    check_ranges,
    check_required,
    check_syntax,
    parts,
)
from inferencegraph.check.pods.syntax import LABEL, LABEL_VALUE, QUALIFIED_NAME
from inferencegraph.check.problem import Finding, error, unknown

_REQUIRED: Final = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED: Final = "preferredDuringSchedulingIgnoredDuringExecution"
_EFFECTS: Final = {"effect": ("NoExecute", "NoSchedule", "PreferNoSchedule")}
_OF_LABELS: Final = ("In", "NotIn", "Exists", "DoesNotExist")
_OF_NODES: Final = (*_OF_LABELS, "Gt", "Lt")
_WEIGHT: Final = {"weight": (1, 100)}
_INT32: Final = (1, (1 << 31) - 1)
_SPREAD: Final = {
    "whenUnsatisfiable": ("DoNotSchedule", "ScheduleAnyway"),
    "nodeAffinityPolicy": ("Honor", "Ignore"),
    "nodeTaintsPolicy": ("Honor", "Ignore"),
}


def check_scheduling(spec: Part) -> Iterator[Finding]:
    yield from check_labels(spec.get("nodeSelector"), "nodeSelector")
    for toleration, field in parts(spec.get("tolerations"), "tolerations"):
        yield from _check_toleration(toleration, field)
    affinity = mapping(spec.get("affinity"))
    yield from _check_node_affinity(mapping(affinity.get("nodeAffinity")), "affinity.nodeAffinity")
    for name in ("podAffinity", "podAntiAffinity"):
        yield from _check_pod_affinity(mapping(affinity.get(name)), f"affinity.{name}")
    yield from _check_spread(spec.get("topologySpreadConstraints"), "topologySpreadConstraints")


def _check_toleration(toleration: Part, field: str) -> Iterator[Finding]:
    operator, value = toleration.get("operator"), toleration.get("value")
    yield from check_syntax(toleration, field, {"key": QUALIFIED_NAME})
    yield from check_choices(toleration, field, _EFFECTS | {"operator": ("Equal", "Exists")})
    if not toleration.get("key") and operator != "Exists":
        yield error(f"{field}.operator", "must be Exists where there is no key")
    if operator == "Exists" and value:
        yield error(f"{field}.value", f"is {value!r}, but the operator Exists takes none")
    elif operator in (None, "", "Equal"):
        yield from check_syntax(toleration, field, {"value": LABEL_VALUE})
    if toleration.get("tolerationSeconds") is not None and toleration.get("effect") != "NoExecute":
        yield error(f"{field}.tolerationSeconds", "is only for the effect NoExecute")


def _check_node_affinity(affinity: Part, field: str) -> Iterator[Finding]:
    if isinstance(required := affinity.get(_REQUIRED), dict):
        at = f"{field}.{_REQUIRED}"
        yield from check_required(required, at, ("nodeSelectorTerms",))
        for term, place in parts(required.get("nodeSelectorTerms"), f"{at}.nodeSelectorTerms"):
            yield from _check_node_term(term, place, strict=True)
    for weighted, place in parts(affinity.get(_PREFERRED), f"{field}.{_PREFERRED}"):
        yield from check_ranges({"weight": 0, **weighted}, place, _WEIGHT)
        preference = mapping(weighted.get("preference"))
        yield from _check_node_term(preference, f"{place}.preference", strict=False)


def _check_node_term(term: Part, field: str, strict: bool) -> Iterator[Finding]:
    for rule, at in parts(term.get("matchExpressions"), f"{field}.matchExpressions"):
        yield from _check_expression(rule, at, _OF_NODES, strict)
    for rule, at in parts(term.get("matchFields"), f"{field}.matchFields"):
        if rule.get("operator") not in ("In", "NotIn"):
            yield unknown(f"{at}.operator", "operator", rule.get("operator"), ("In", "NotIn"))
        if rule.get("key") != "metadata.name":
            yield unknown(f"{at}.key", "field", rule.get("key"), ("metadata.name",))
        if len(sequence(rule.get("values"))) != 1:
            yield error(f"{at}.values", "needs exactly one value")


def _check_expression(
    rule: Part, field: str, operators: tuple[str, ...], strict: bool
) -> Iterator[Finding]:
    """`strict`: values are labels' values; a preference may name any."""
    operator, values = rule.get("operator"), sequence(rule.get("values"))
    yield from check_required(rule, field, ("key",))
    yield from check_syntax(rule, field, {"key": QUALIFIED_NAME})
    if operator not in operators:
        yield unknown(f"{field}.operator", "operator", operator, operators)
    if operator in ("In", "NotIn") and not values:
        yield error(f"{field}.values", f"the operator {operator} needs at least one value")
    if operator in ("Exists", "DoesNotExist") and values:
        yield error(f"{field}.values", f"the operator {operator} takes none")
    if operator in ("Gt", "Lt") and len(values) != 1:
        yield error(f"{field}.values", f"the operator {operator} needs exactly one value")
    for index, value in enumerate(values if strict else ()):
        if fault := LABEL_VALUE.fault(value):
            yield error(f"{field}.values[{index}]", fault)


def _check_pod_affinity(affinity: Part, field: str) -> Iterator[Finding]:
    for term, at in parts(affinity.get(_REQUIRED), f"{field}.{_REQUIRED}"):
        yield from _check_pod_term(term, at)
    for weighted, at in parts(affinity.get(_PREFERRED), f"{field}.{_PREFERRED}"):
        yield from check_ranges({"weight": 0, **weighted}, at, _WEIGHT)
        yield from _check_pod_term(
            mapping(weighted.get("podAffinityTerm")), f"{at}.podAffinityTerm"
        )


def _check_pod_term(term: Part, field: str) -> Iterator[Finding]:
    yield from check_required(term, field, ("topologyKey",))
    yield from check_syntax(term, field, {"topologyKey": QUALIFIED_NAME})
    for name in ("labelSelector", "namespaceSelector"):
        yield from check_selector(mapping(term.get(name)), f"{field}.{name}")
    for index, namespace in enumerate(sequence(term.get("namespaces"))):
        if fault := LABEL.fault(namespace):
            yield error(f"{field}.namespaces[{index}]", fault)
    for name in ("matchLabelKeys", "mismatchLabelKeys"):
        if sequence(term.get(name)) and term.get("labelSelector") is None:
            yield error(f"{field}.{name}", "needs a labelSelector")


def check_selector(selector: Part, field: str) -> Iterator[Finding]:
    yield from check_labels(selector.get("matchLabels"), f"{field}.matchLabels")
    for rule, at in parts(selector.get("matchExpressions"), f"{field}.matchExpressions"):
        yield from _check_expression(rule, at, _OF_LABELS, strict=True)


def _check_spread(constraints: Any, field: str) -> Iterator[Finding]:
    seen: list[Any] = []
    for constraint, at in parts(constraints, field):
        yield from check_required(constraint, at, ("topologyKey", "whenUnsatisfiable"))
        yield from check_ranges(
            {"maxSkew": 0, **constraint}, at, {"maxSkew": _INT32, "minDomains": _INT32}
        )
        yield from check_syntax(constraint, at, {"topologyKey": QUALIFIED_NAME})
        yield from check_choices(constraint, at, _SPREAD)
        unsatisfiable = constraint.get("whenUnsatisfiable")
        if constraint.get("minDomains") is not None and unsatisfiable != "DoNotSchedule":
            yield error(f"{at}.minDomains", "is only for whenUnsatisfiable: DoNotSchedule")
        pair = (constraint.get("topologyKey"), unsatisfiable)
        if pair in seen:
            yield error(at, f"{pair[0]} with {pair[1]} is there twice")
        seen.append(pair)
        yield from check_selector(mapping(constraint.get("labelSelector")), f"{at}.labelSelector")
        if sequence(constraint.get("matchLabelKeys")) and constraint.get("labelSelector") is None:
            yield error(f"{at}.matchLabelKeys", "needs a labelSelector")
