"""From a spec to its objects."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from inferencegraph.build.image_choice import unusable_image
from inferencegraph.build.llm_service import KIND as LLM_SERVICE
from inferencegraph.build.mining import Mining
from inferencegraph.build.overlay import Part, over_graph, over_llm_service, overlaid
from inferencegraph.build.pods import COMPONENT_LABEL, Images
from inferencegraph.build.setup import Claim, Objects, Setup, objects
from inferencegraph.build.sites import DEFAULT_IMAGES, CloudAPI, Model, Site
from inferencegraph.check.problem import Finding, error, warning
from inferencegraph.spec.faults import Collector, SpecFault, SpecFaults
from inferencegraph.spec.resolve import (
    Learning,
    claim_of,
    claim_warnings,
    images_of,
    is_joint,
    joined,
    learning_of,
    located,
    mining_of,
    model_of,
    model_source,
    operations_asked,
    places_of,
    sites_of,
    store_warnings,
    timeouts_of,
    with_one_file,
)
from inferencegraph.spec.resolve.design import LOOKUP, VLLM_CHECKS
from inferencegraph.spec.resolve.images import ConfigMaps
from inferencegraph.spec.resolve.models import Served
from inferencegraph.spec.service import CloudWorker, EdgeWorker, LLMJointInferenceService, Spec
from inferencegraph.spec.sources import ModelSource
from inferencegraph.spec.templates import template_findings, with_template
from predictors.contract import CLOUD, EDGE
from predictors.errors import ConfigurationError

EDGE_FIELD: Final = "spec.edgeWorker"
CLOUD_FIELD: Final = "spec.cloudWorker"


def rendered(document: LLMJointInferenceService, setup: Setup) -> Objects:
    """The objects of a spec with its values, always in the same order. Raises SpecFaults."""
    try:
        made = objects(setup)
    except ConfigurationError as fault:
        raise SpecFaults([error("spec", str(fault))]) from None
    return [_placed(_overlaid(each, document.spec), document) for each in made]


def warnings(
    document: LLMJointInferenceService, models: Mapping[str, ModelSource] | None = None
) -> list[Finding]:
    """What of the workers' templates is not carried over, claims that too many mount, and files
    that nobody reads together."""
    spec = document.spec
    found = [each for each in _of_templates(spec) if each.severity != "error"]
    for worker, field in ((spec.edge_worker, EDGE_FIELD), (spec.cloud_worker, CLOUD_FIELD)):
        found += claim_warnings(worker, field) if worker else []
    found += store_warnings(spec)
    large = spec.cloud_worker
    if spec.edge_worker is not None and large is not None and large.template is not None:
        source = large.model and (models or {}).get(large.model.name or "", large.model)
        if source is None or source.url is not None or source.llm_inference_service is not None:
            found.append(
                warning(
                    f"{CLOUD_FIELD}.template",
                    "is not carried over: the model is at a url, and none of its pods is here",
                )
            )
    return found


def image_warnings(setup: Setup) -> list[Finding]:
    """Images of engines that are not used, as they would not answer."""
    found = {
        model.engine: image
        for model in (setup.edge, setup.cloud)
        if isinstance(model, Model) and (image := unusable_image(model, setup.images))
    }
    return [
        warning(
            "spec.images",
            f"{engine}: {image!r} is that engine's own server, but it runs in an image of ours, "
            "which stays; name one made FROM ours, or take an engine that asks a server",
        )
        for engine, image in found.items()
    ]


def design_warnings(setup: Setup) -> list[Finding]:
    """Where the cloud could check drafts, and none will come; where nobody answers at the edge."""
    edge, mining = setup.edge, setup.mining
    if edge is None or mining is None or not mining.joint:
        return []
    return [*_of_drafts(edge), *_of_answers(edge, mining)]


def _of_answers(edge: Model, mining: Mining) -> list[Finding]:
    values = edge.config.values if edge.config else {}
    keeps = mining.algorithm is not None or "HEM_GUARDS" in mining.settings
    if values.get("drafter") != LOOKUP or not keeps:
        return []
    return [
        warning(
            f"{EDGE_FIELD}.inferenceConfig.speculativeConfig.drafter",
            f"{LOOKUP!r} is no model that could answer: what the algorithm or a guard keeps at the "
            "edge is refused over V2, and in the gateway asked of the cloud unless it is private; "
            "leave drafter out, with a small model in edgeWorker.model",
        )
    ]


def _of_drafts(edge: Model) -> list[Finding]:
    if VLLM_CHECKS not in edge.arguments:
        return []
    sampling = edge.sampling
    if sampling.greedy and sampling.repetition_penalty == 1:
        return []
    return [
        warning(
            f"{EDGE_FIELD}.sampling",
            "a vLLM server checks drafts of greedy answers without penalties alone, so by these "
            "defaults the cloud would answer without any: write temperature: 0 and "
            "repetitionPenalty: 1",
        )
    ]


def resolved(
    document: LLMJointInferenceService,
    models: Mapping[str, ModelSource] | None = None,
    folder: Path = Path(),
    config_maps: ConfigMaps | None = None,
) -> Setup:
    """The values of a spec. `models`, `config_maps`: Model objects and ConfigMaps beside it, by
    name; `folder`: where the spec's file is. Raises SpecFaults with all that is wrong in it."""
    spec, name, models = document.spec, document.metadata.name, models or {}
    if wrong := [each for each in _of_templates(spec) if each.severity == "error"]:
        raise SpecFaults(wrong)
    faults = Collector()
    small = faults.get(lambda: with_template(located(spec.edge_worker, folder), EDGE_FIELD))
    large = faults.get(lambda: with_template(located(spec.cloud_worker, folder), CLOUD_FIELD))
    images = faults.get(lambda: images_of(spec, config_maps))
    timeouts = faults.get(lambda: timeouts_of(spec))
    sites = (faults.get(lambda: sites_of(name, small)) or []) if small else []
    sides = _sides(faults, document, models, small, large, images or DEFAULT_IMAGES, folder)
    mining = sides.mining
    learning = Learning(mining)
    if mining is not None or not faults.findings:
        found = faults.get(lambda: learning_of(spec, name, sites, mining, sides.edge))
        learning = found or learning
    forwards = large is not None and (small is not None or isinstance(sides.cloud, CloudAPI | None))
    places = faults.get(lambda: places_of(spec, forwards))
    edge, cloud = with_one_file(sides.edge, sides.cloud, name)
    claims = _different(faults, [*sides.claims, learning.claim])
    if faults.findings or images is None or timeouts is None or places is None:
        raise SpecFaults(faults.findings)
    sources = _sources(small, large, models)
    return Setup(
        name,
        tuple(Site(each.name, each.node, images, timeouts, name, places) for each in sites),
        edge if isinstance(edge, Model) else None,
        learning.mining,
        cloud,
        images,
        claims,
        spec.images.pull_secret,
        timeouts,
        places,
        operations_asked(spec, name, [site.name for site in sites], learning, sources, cloud),
        learning.retraining,
    )


class _Sides(NamedTuple):
    """None where there is no such worker, or a fault of it is told already."""

    edge: Served | None
    cloud: Served | None
    mining: Mining | None
    claims: Sequence[Claim | None]


def _sides(
    faults: Collector,
    document: LLMJointInferenceService,
    models: Mapping[str, ModelSource],
    small: EdgeWorker | None,
    large: CloudWorker | None,
    images: Images,
    folder: Path,
) -> _Sides:
    spec, metadata = document.spec, document.metadata
    edge = cloud = mining = None
    claims: list[Claim | None] = []
    if small is not None:
        joint = large is not None and is_joint(small, folder)
        edge = faults.get(
            lambda: model_of(small, spec, EDGE, EDGE_FIELD, models, metadata, images, joint)
        )
        claims.append(faults.get(lambda: claim_of(small, EDGE_FIELD)))
    if large is not None:
        cloud = faults.get(
            lambda: model_of(large, spec, CLOUD, CLOUD_FIELD, models, metadata, images)
        )
        claims.append(faults.get(lambda: claim_of(large, CLOUD_FIELD)))
    if small is not None and large is not None:
        text = not (isinstance(edge, Model) and edge.engine == "classifier")
        field = f"{EDGE_FIELD}.hardExampleMining"
        mining = faults.get(
            lambda: mining_of(small.hard_example_mining, spec, not text, field, folder)
        )
        if mining is not None and mining.joint:
            edge, cloud = faults.get(lambda: joined(edge, cloud, small, large)) or (None, None)
    elif small is not None and small.hard_example_mining is not None:
        faults.get(_mines_for_nobody)
    return _Sides(edge, cloud, mining, claims)


def _different(faults: Collector, claims: Sequence[Claim | None]) -> tuple[Claim, ...]:
    """Each that is made, once."""
    made = {claim.name: claim for claim in claims if claim is not None}
    if any(claim and claim != made[claim.name] for claim in claims):
        faults.get(_two_claims)
    return tuple(made.values())


def _sources(
    small: EdgeWorker | None, large: CloudWorker | None, models: Mapping[str, ModelSource]
) -> dict[str, ModelSource]:
    """Where the model of each side comes from."""
    workers = {EDGE: (small, EDGE_FIELD), CLOUD: (large, CLOUD_FIELD)}
    return {
        side: model_source(worker, side, field, models)
        for side, (worker, field) in workers.items()
        if worker is not None
    }


def _two_claims() -> None:
    raise SpecFault(
        f"{CLOUD_FIELD}.claim", "edgeWorker makes the same claim with other values; say it once"
    )


def _mines_for_nobody() -> None:
    raise SpecFault(
        f"{EDGE_FIELD}.hardExampleMining",
        "there is no cloudWorker to which hard queries could go; add one, or leave this out",
    )


def _of_templates(spec: Spec) -> list[Finding]:
    small, large = spec.edge_worker, spec.cloud_worker
    found = template_findings(small, EDGE_FIELD, mines=large is not None) if small else []
    return found + (template_findings(large, CLOUD_FIELD, mines=False) if large else [])


def _overlaid(content: dict[str, Any], spec: Spec) -> dict[str, Any]:
    """The object with what the template of its worker says."""
    part = content["metadata"]["labels"][COMPONENT_LABEL]
    worker = spec.cloud_worker if part == "cloud" else spec.edge_worker
    template = worker.template if worker else None
    if not template:
        return content
    if content["kind"] == "InferenceGraph":
        return {**content, "spec": over_graph(content["spec"], template)}
    if content["kind"] == LLM_SERVICE:
        return {**content, "spec": over_llm_service(content["spec"], template)}
    if content["kind"] != "InferenceService":
        return content
    own: Part = "mining" if part == "hem" else "beside" if part == "uplink" else "model"
    components = {
        role: overlaid(component, template, "mining" if role == "transformer" else own)
        for role, component in content["spec"].items()
    }
    return {**content, "spec": components}


def _placed(content: dict[str, Any], document: LLMJointInferenceService) -> dict[str, Any]:
    """The object in the spec's namespace, with its labels."""
    metadata = content["metadata"]
    if document.metadata.namespace:
        metadata = {"name": metadata["name"], "namespace": document.metadata.namespace, **metadata}
    if document.metadata.labels:
        metadata = {**metadata, "labels": {**document.metadata.labels, **metadata["labels"]}}
    return {**content, "metadata": metadata}
