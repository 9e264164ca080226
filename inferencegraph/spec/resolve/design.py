"""The strategy of the mode self-design, and what it asks of both sides' models."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, TypeAlias, cast

from inferencegraph.build.engine_file import unless_filed
from inferencegraph.build.llm_service import LLMService
from inferencegraph.build.mining import Design, OwnAlgorithm
from inferencegraph.build.multi_node import MultiNode
from inferencegraph.build.sites import CloudAPI, Model
from inferencegraph.spec.faults import SpecFault, at
from inferencegraph.spec.mining import HardExampleMining
from inferencegraph.spec.own_algorithm import own_algorithm
from inferencegraph.spec.resolve.options import option
from inferencegraph.spec.service import EdgeWorker, Worker
from transformers_hem.algorithms.base import Stage

# The engine that asks the cloud itself, and what of ours checks its drafts.
ENGINE: Final = "speculative"
CHECKS: Final = "huggingface"
_OVER_V2: Final = "kserve"
_VLLM: Final = "openai_api"
VLLM_CHECKS: Final = "--verifier=vllm"
LOOKUP: Final = "prompt-lookup"  # a drafter that is no model, and can't end an answer
_OLDER_NAME: Final = "on_break"  # of on_far_failure
# Sequences that the cloud remembers between rounds, of all sites together.
VERIFY_SLOTS: Final = 16


@dataclass(frozen=True, slots=True)
class Designed:
    """`stage`: of the strategy's class, where that could be read; own: the user's own code."""

    design: Design
    stage: Stage | None
    own: OwnAlgorithm | None = None


def design_of(part: HardExampleMining, field: str, folder: Path) -> Designed | None:
    """The strategy and its parameters, checked as HEM checks them. Raises SpecFault."""
    chosen = part.strategy
    if chosen is None:
        return None
    field = f"{field}.strategy"
    values: dict[str, str] = {}
    for index, each in enumerate(chosen.parameters):
        if each.called in values:
            raise SpecFault(f"{field}.parameters[{index}]", f"{each.called!r} is set twice")
        values[each.called] = option(each.value)
    if chosen.source is not None:
        return _of_file(chosen.source, part, values, field, folder)
    if ":" in chosen.name:
        return Designed(Design(chosen.name, values), None)
    from transformers_hem.algorithms.parameters import parse
    from transformers_hem.strategies import STRATEGIES

    with at(f"{field}.name"):
        kind = STRATEGIES.load(chosen.name)
    with at(f"{field}.parameters"):
        parse(chosen.name, kind, values)
    return Designed(Design(chosen.name, values, kind.at_edge), kind.stage)


def _of_file(
    source: str, part: HardExampleMining, values: Mapping[str, str], field: str, folder: Path
) -> Designed:
    from transformers_hem.strategies.base import Strategy

    assert part.strategy is not None
    if part.source not in (None, source):
        raise SpecFault(
            f"{field}.source",
            f"{source!r} is another file than the algorithm's, {part.source!r}: put both classes "
            "into one",
        )
    own = own_algorithm(source, part.strategy.name, folder, field, Strategy)
    if own.at_edge and own.stage == "answer":
        raise SpecFault(
            f"{field}.name", f"{own.name}: with at_edge its stage must be 'query', not 'answer'"
        )
    stage = cast("Stage | None", own.stage)
    return Designed(Design(own.path, values, own.at_edge), stage, own)


def is_joint(worker: Worker | None, folder: Path = Path()) -> bool:
    """Whether the worker's engine asks the cloud itself; what is wrong with its strategy is told
    elsewhere."""
    if not isinstance(worker, EdgeWorker) or worker.hard_example_mining is None:
        return False
    try:
        found = design_of(worker.hard_example_mining, "", folder)
    except SpecFault:
        return False
    return found is not None and found.design.at_edge


Far: TypeAlias = Model | CloudAPI | LLMService | MultiNode


def joined(
    edge: Far | None, cloud: Far | None, small: Worker, large: Worker
) -> tuple[Far | None, Far | None]:
    """Both models, of which the edge's engine asks the cloud's. Raises SpecFault."""
    if not isinstance(edge, Model) or cloud is None:
        return edge, cloud  # what is wrong with it is told already
    if edge.engine != ENGINE:
        raise SpecFault(
            "spec.edgeWorker.inferenceConfig.engine",
            f"{edge.engine!r} asks no cloud itself; leave it out: the strategy's is {ENGINE}",
        )
    if small.sampling is None:
        edge = replace(edge, sampling=cloud.sampling)
    elif large.sampling is None and not isinstance(cloud, LLMService):
        cloud = replace(cloud, sampling=edge.sampling)
    elif edge.sampling != cloud.sampling:
        raise SpecFault(
            "spec.edgeWorker.sampling",
            "is not the cloudWorker's, and one predictor answers for both: say it once, or alike",
        )
    words = [*(["--on_far_failure=finish"] if _finishes(edge) else []), *_verifier(cloud)]
    arguments = (*unless_filed(words, edge.config), *edge.arguments)
    return replace(edge, arguments=arguments), _checking(cloud)


def _finishes(edge: Model) -> bool:
    """Whether the small model may end answers, unless the spec says otherwise: there is one."""
    values = edge.config.values if edge.config else {}
    return values.get("drafter") != LOOKUP and _OLDER_NAME not in values


def _verifier(cloud: Far) -> list[str]:
    """What checks drafts there, where it is no predictor of ours."""
    ours = isinstance(cloud, Model) or (isinstance(cloud, CloudAPI) and cloud.engine == _OVER_V2)
    return [] if ours else [VLLM_CHECKS]


def _checking(cloud: Far) -> Far:
    field = "spec.cloudWorker.inferenceConfig.engine"
    if isinstance(cloud, Model):
        if cloud.engine != CHECKS:
            raise SpecFault(
                field,
                f"{cloud.engine!r} checks no drafts of another server; {CHECKS} does, and so does "
                "a vLLM server at model.url, or of an llmInferenceService",
            )
        slots = unless_filed([f"--verify_slots={VERIFY_SLOTS}"], cloud.config)
        return replace(cloud, arguments=(*slots, *cloud.arguments))
    if isinstance(cloud, CloudAPI) and cloud.engine not in (_OVER_V2, _VLLM):
        raise SpecFault(
            field,
            f"{cloud.engine!r} checks no drafts; {_OVER_V2} is a predictor of ours with "
            f"verify_slots, {_VLLM} a vLLM server",
        )
    return cloud
