"""How HEM decides at a site."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from inferencegraph.build.mining import (
    ENCODER_RESOURCES,
    GATEWAY_KEYS,
    HEM_RESOURCES,
    MINING_MODES,
    SELF_DESIGN,
    Mining,
    Mount,
    OwnAlgorithm,
)
from inferencegraph.build.pods import Resources
from inferencegraph.spec.faults import SpecFault, at
from inferencegraph.spec.mining import HardExampleMining
from inferencegraph.spec.own_algorithm import own_algorithm
from inferencegraph.spec.resolve.design import Designed, design_of
from inferencegraph.spec.resolve.encoders import needs_torch
from inferencegraph.spec.resolve.options import option
from inferencegraph.spec.resolve.resources import resources_of
from inferencegraph.spec.service import Spec
from inferencegraph.spec.serving import Amounts

if TYPE_CHECKING:  # it brings numpy
    from transformers_hem.calibration.config import Calibration

DEFAULT_ROUTER: Final = "embedded:general"
_UPLINK: Final = "http://uplink"  # each site's has a name of its own
_MODES: Final = {"query": MINING_MODES[0], "answer": MINING_MODES[1]}


def mining_of(
    part: HardExampleMining | None,
    spec: Spec,
    discriminative: bool,
    field: str,
    folder: Path = Path(),
) -> Mining:
    """How HEM decides; the algorithm and its parameters are checked as HEM checks them. folder:
    where the file of an algorithm of the user's own is looked for."""
    if part is None and discriminative:
        raise SpecFault(
            field,
            "is required for a classifier: an algorithm that reads probabilities or boxes, such as "
            "CrossEntropy with a threshold",
        )
    part = part or HardExampleMining(router=DEFAULT_ROUTER)
    designed = _designed(part, discriminative, field, folder)
    if designed is not None and not _has_algorithm(part, field):
        algorithm = _Algorithm(None, None)
    else:
        algorithm = _algorithm(part, field, folder)
    _refuse_beside(algorithm, designed, field)
    joint = designed is not None and designed.design.at_edge
    offers = spec.gateway.enabled and not discriminative
    resources = _resources(part, algorithm.by_torch, field)
    mode = part.mining_mode or _MODES[algorithm.stage or ""]
    with at(field):
        return Mining(
            mode,
            algorithm.name,
            router=algorithm.router,
            threshold=algorithm.threshold,
            parameters=algorithm.values,
            gateway=offers,
            resources=resources,
            settings=_settings(part, spec, field, offers=offers, uplink=not joint),
            sidecar=part.placement == "sidecar",
            keys_secret=spec.gateway.keys_secret or GATEWAY_KEYS,
            own=algorithm.own or (designed.own if designed else None),
            config_map=part.config_map,
            by_torch=algorithm.by_torch,
            mounts=tuple(Mount(v.mount_path, v.source(), v.read_only) for v in part.volumes),
            design=designed.design if designed else None,
        )


def _resources(part: HardExampleMining, by_torch: bool, field: str) -> Resources:
    usual = ENCODER_RESOURCES if by_torch else HEM_RESOURCES
    if part.resource is None:
        return usual
    return resources_of(part.resource, Amounts(cpu=usual.cpu, memory=usual.memory), field)


def _settings(
    part: HardExampleMining, spec: Spec, field: str, *, offers: bool, uplink: bool
) -> dict[str, str]:
    """HEM_* variables. offers: the gateway is on; uplink: there is one."""
    gateway = spec.gateway.settings if offers else {}
    known = {**gateway, "cloud_url": _UPLINK} if offers and uplink else gateway
    return {
        **_guards(part, field, known),
        **({"HEM_BATCH_POLICY": part.batch_policy} if part.batch_policy else {}),
        **(spec.gateway.environment() if offers else {}),
    }


@dataclass(frozen=True, slots=True)
class _Algorithm:
    """As the spec has it. `name` None: a strategy has none beside it; `stage` None: that is not
    known."""

    name: str | None
    stage: str | None
    router: str | None = None
    threshold: float | None = None
    values: Mapping[str, str] = field(default_factory=dict)
    own: OwnAlgorithm | None = None
    by_torch: bool = False


def _algorithm(part: HardExampleMining, field: str, folder: Path) -> _Algorithm:
    own = None
    if part.source is not None:
        own = own_algorithm(part.source, part.name, folder, field)
    name = own.path if own else part.name or _algorithm_of(part, field)
    values = _parameters(part, field)
    kept_promise(part, name, field)
    stage: str | None
    if own is not None or ":" in name:
        stage, taken = _own_stage(own.stage if own else None, part, name, field), None
    else:
        stage, taken = _checked(name, part, dict(values), field)
    if taken is not None and part.threshold is not None:
        raise SpecFault(f"{field}.threshold", "is among the parameters, too; give it once")
    router = values.pop("router", None) or part.router
    if taken is not None:
        values.pop("threshold", None)
    by_torch = own is None and ":" not in name and needs_torch(name, router, values)
    threshold = part.threshold if taken is None else taken
    return _Algorithm(name, stage, router, threshold, values, own, by_torch)


def _designed(
    part: HardExampleMining, discriminative: bool, field: str, folder: Path
) -> Designed | None:
    if part.strategy is not None and discriminative:
        raise SpecFault(
            f"{field}.strategy", "asks the cloud in words, which a classifier's query has none of"
        )
    return design_of(part, field, folder)


def _has_algorithm(part: HardExampleMining, field: str) -> bool:
    """Whether one stands beside the strategy. Raises SpecFault for what only an algorithm reads."""
    if any(each is not None for each in (part.name, part.router, part.source)):
        return True
    alone = {"threshold": part.threshold, "promise": part.promise, "parameters": part.parameters}
    for name, value in alone.items():
        if value not in (None, ()):
            raise SpecFault(
                f"{field}.{name}",
                "is an algorithm's, and there is none: give its name; the strategy's own are "
                "strategy.parameters",
            )
    return False


def _refuse_beside(algorithm: _Algorithm, designed: Designed | None, field: str) -> None:
    if designed is not None and (designed.stage, algorithm.stage) == ("query", "answer"):
        raise SpecFault(
            f"{field}.name",
            f"{algorithm.name} mines the answer, and the strategy {designed.design.strategy} is "
            "asked before there is one: take an algorithm that mines the query",
        )


def _algorithm_of(part: HardExampleMining, field: str) -> str:
    from transformers_hem.routers.directory import algorithm_of, locate

    if part.router is None:
        raise SpecFault(f"{field}.name", "is required: the algorithm, or a router")
    with at(f"{field}.router"):
        return algorithm_of(locate(part.router))


def _parameters(part: HardExampleMining, field: str) -> dict[str, str]:
    values: dict[str, str] = {}
    for index, parameter in enumerate(part.parameters):
        if parameter.called in values:
            raise SpecFault(f"{field}.parameters[{index}]", f"{parameter.called!r} is set twice")
        values[parameter.called] = option(parameter.value)
    return values


def _checked(
    name: str, part: HardExampleMining, values: dict[str, str], field: str
) -> tuple[str, float | None]:
    """The algorithm's stage, and the threshold among its parameters."""
    from transformers_hem.algorithms import ALGORITHMS
    from transformers_hem.algorithms.parameters import parse, take_threshold

    with at(f"{field}.name"):
        kind = ALGORITHMS.load(name)
    _refuse_mode(part.mining_mode, kind.stage, name, field)
    with at(f"{field}.parameters"):
        taken = take_threshold(kind, values)
        if part.router is not None:
            if "router" not in kind.Parameters.model_fields:
                raise SpecFault(f"{field}.router", f"{name} takes no router")
            values.setdefault("router", part.router)
        parse(name, kind, values)
    return kind.stage, taken


def _guards(part: HardExampleMining, field: str, known: Mapping[str, Any]) -> dict[str, str]:
    """HEM_GUARDS; each guard and its parameters are checked as HEM checks them. known: settings of
    the gateway, with the uplink where there is one."""
    from transformers_hem.guards.settings import guard_of

    blocks = []
    for index, guard in enumerate(part.guards):
        values = {each.called: option(each.value) for each in guard.parameters}
        with at(f"{field}.guards[{index}]"):
            guard_of(guard.name, dict(values), known)
        listed = [{"name": name, "value": value} for name, value in values.items()]
        blocks.append({"name": guard.name, "parameters": listed} if listed else guard.name)
    return {"HEM_GUARDS": json.dumps(blocks)} if blocks else {}


def kept_promise(part: HardExampleMining, name: str, field: str) -> None:
    """That the router's own calibration promises what the spec asks. Raises SpecFault."""
    from transformers_hem.routers.scoring import open_router

    wanted = part.promise
    if wanted is None:
        return
    if part.router is None or "://" in part.router:
        raise SpecFault(
            f"{field}.promise", "needs a router that can be read here: a folder, or embedded:NAME"
        )
    with at(f"{field}.router"):
        calibrated = open_router(part.router).calibrated
    made = calibrated.calibration if calibrated else None
    target = "edge_ratio" if wanted.edge_ratio is not None else "max_quality_loss"
    limit = wanted.edge_ratio if wanted.edge_ratio is not None else wanted.max_quality_loss
    assert limit is not None
    option = f"--{target.replace('_', '-')} {limit:g}"
    if wanted.confidence is not None:
        option += f" --confidence {wanted.confidence:g}"
    if made is None or made.target != target or not _as_strict(made, limit, wanted.confidence):
        says = f"promises: {made.promise}" if made else "is not calibrated"
        raise SpecFault(
            f"{field}.promise",
            f"router {part.router} {says}; hem calibrate --router {part.router} --data "
            f"LABELS.jsonl {option} --out ROUTER",
        )


def _as_strict(made: "Calibration", limit: float, confidence: float | None) -> bool:
    """An edge ratio is a share that is reached, a loss one that is not passed."""
    kept = made.limit >= limit if made.target == "edge_ratio" else made.limit <= limit
    return kept and (confidence is None or made.confidence >= confidence)


def _own_stage(stage: str | None, part: HardExampleMining, name: str, field: str) -> str | None:
    """Of an algorithm that is not of the table: what its class says, or the mode."""
    if stage is not None:
        _refuse_mode(part.mining_mode, stage, name, field)
        return stage
    if part.mining_mode == SELF_DESIGN:
        return None
    if part.mining_mode is None:
        raise SpecFault(
            f"{field}.miningMode",
            f"is required, as {name} has no stage that could be read: {' or '.join(MINING_MODES)}",
        )
    return next(stage for stage, mode in _MODES.items() if mode == part.mining_mode)


def _refuse_mode(mode: str | None, stage: str, name: str, field: str) -> None:
    if mode not in (None, SELF_DESIGN, _MODES[stage]):
        raise SpecFault(
            f"{field}.miningMode",
            f"{mode!r}: {name} mines the {stage}; leave it out, or write {_MODES[stage]!r}",
        )
