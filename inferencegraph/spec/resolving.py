"""From a spec to the values that `inferencegraph.build` takes."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from inferencegraph.build.pods import EdgeNode, Images, Resources
from inferencegraph.build.setup import Claim
from inferencegraph.build.sites import (
    DEFAULT_START_SECONDS,
    DEFAULT_TIMEOUTS,
    GATEWAY_KEYS,
    HEM_RESOURCES,
    MINING_MODES,
    CloudAPI,
    Mining,
    Model,
    Running,
    Scale,
    Timeouts,
)
from inferencegraph.spec.engines import BLOCKS, EngineConfig
from inferencegraph.spec.faults import SpecFault, at
from inferencegraph.spec.mining import HardExampleMining
from inferencegraph.spec.own_algorithm import own_algorithm
from inferencegraph.spec.service import EdgeWorker, Spec, Worker
from inferencegraph.spec.serving import Amounts, Resource, Sampling as SamplingPart
from inferencegraph.spec.sources import (
    CLOUD_DEFAULT,
    CLOUD_DEFAULT_URL,
    EDGE_DEFAULT,
    ModelSource,
    SecretKey,
)
from predictors.contract import CLOUD, EDGE, Sampling
from predictors.contract.query import CONTRACT_SAMPLING
from predictors.errors import known

if TYPE_CHECKING:  # it brings numpy
    from transformers_hem.calibration.config import Calibration

EDGE_RESOURCES: Final = Amounts(cpu="2", memory="4Gi")
CLOUD_RESOURCES: Final = Amounts(cpu="4", memory="8Gi")
DEFAULT_SECRET: Final = SecretKey(name="kserve-hem-cloud-key", key="key")
DEFAULT_ROUTER: Final = "embedded:general"
GPU_MEMORY: Final = 0.9  # the query-routing document's default
_MODES: Final = {"query": MINING_MODES[0], "answer": MINING_MODES[1]}
_PVC: Final = "pvc://"
_CLASSIFIERS: Final = (".onnx", ".pt", ".pt2", ".torchscript")
_NODE: Final = re.compile(r"[^a-z0-9-]+")
# KServe labels pods `app: isvc.<service>-<component>`, and a label's value has 63 characters; the
# longest ones that we make of a site are `-uplink` as a predictor, `-edge` as a transformer.
LONGEST_SITE: Final = 63 - len("isvc.") - len("-uplink-predictor")
LONGEST_NODE: Final = 30
_HASH: Final = 5


def model_source(
    worker: Worker, side: str, field: str, models: Mapping[str, ModelSource]
) -> ModelSource:
    """The worker's model with its source; `models` are the Model objects beside the spec."""
    model = worker.model
    if model is None:
        if side == EDGE:
            return ModelSource(name=EDGE_DEFAULT, hub=EDGE_DEFAULT)
        return ModelSource(name=CLOUD_DEFAULT, url=CLOUD_DEFAULT_URL, secret=DEFAULT_SECRET)
    if not model.sources and model.name and model.name in models:
        return models[model.name].model_copy(update={"name": model.name})
    if not model.sources:
        raise SpecFault(
            f"{field}.model",
            f"{model.name!r} is only a name; add where it comes from: storageUri, hub, file, image "
            f"or url, or a Model object of that name beside the spec ({known(model.name, models)})",
        )
    return model


def engine_of(worker: Worker, spec: Spec, source: ModelSource, field: str) -> str:
    """The worker's own engine, the one of both sides where it can have that model, or what the
    source suggests."""
    own = worker.inference_config.engine if worker.inference_config else None
    suggested = _suggested(source)
    if source.url is not None:
        engine = own or suggested
        if engine not in ("kserve", "openai_api", "triton"):
            raise SpecFault(
                f"{field}.inferenceConfig.engine",
                f"{engine!r} loads a model itself, but the model is at a url; use openai_api for "
                "an OpenAI-compatible API, kserve for a V2 server, triton for a Triton",
            )
        return engine
    engine = own or spec.inference_config.engine or suggested
    if engine is None:
        raise SpecFault(
            f"{field}.inferenceConfig.engine", f"is required with an image; {known('', BLOCKS)}"
        )
    return engine


def _suggested(source: ModelSource) -> str | None:
    if source.url is not None:
        return "triton" if source.url.startswith(("grpc://", "grpcs://")) else "openai_api"
    if source.image is not None:
        return None
    place = source.file or source.storage_uri or ""
    if place.startswith("digits:") or place.endswith(_CLASSIFIERS):
        return "classifier"
    return "huggingface"


def config_block(worker: Worker, spec: Spec, engine: str) -> EngineConfig | None:
    """The engine's own block, of the worker or of both sides."""
    own = worker.inference_config.block(engine) if worker.inference_config else None
    return own or spec.inference_config.block(engine)


def arguments_of(block: EngineConfig | None) -> tuple[str, ...]:
    """The block as options of our predictor."""
    if block is None:
        return ()
    fields = block.model_dump(exclude_none=True, exclude={"extra_args"})
    return (*(f"--{name}={_option(value)}" for name, value in fields.items()), *block.extra_args)


def _option(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def resources_of(resource: Resource | None, default: Amounts, field: str) -> Resources:
    resource = resource or Resource()
    limits, requests = resource.limits, resource.requests

    def amount(name: str) -> str:
        return str(getattr(limits, name) or getattr(requests, name) or getattr(default, name))

    with at(f"{field}.resource"):
        return Resources(
            cpu=amount("cpu"),
            memory=amount("memory"),
            gpus=limits.gpus or requests.gpus or 0,
            requested_cpu=requests.cpu,
            requested_memory=requests.memory,
        )


def sampling_of(part: SamplingPart | None) -> Sampling:
    given = part.model_dump(exclude_none=True) if part else {}
    return Sampling(**given) if given else CONTRACT_SAMPLING


def model_of(
    worker: Worker, spec: Spec, side: str, field: str, models: Mapping[str, ModelSource]
) -> Model | CloudAPI:
    """The worker's model as a pod serves it, or the API that has it."""
    source = model_source(worker, side, field, models)
    engine = engine_of(worker, spec, source, field)
    arguments = arguments_of(config_block(worker, spec, engine))
    sampling = sampling_of(worker.sampling)
    if source.url is not None and side == CLOUD:
        if source.name is None:
            raise SpecFault(f"{field}.model.name", "is required: the model's name at the url")
        secret = source.secret
        return CloudAPI(
            source.url,
            source.name,
            secret.name if secret else None,
            sampling,
            engine=engine,
            key=secret.key if secret else "key",
            arguments=arguments,
        )
    default = EDGE_RESOURCES if side == EDGE else CLOUD_RESOURCES
    resources = resources_of(worker.resource, default, field)
    if engine == "vllm" and resources.gpus and not any("gpu_memory" in word for word in arguments):
        arguments = (f"--gpu_memory_utilization={GPU_MEMORY:g}", *arguments)
    named = source.url is not None or source.image is not None
    with at(f"{field}.model"):
        return Model(
            resources,
            directory=source.hub or source.file or (source.name if named else None),
            storage_uri=source.storage_uri,
            engine=engine,
            arguments=arguments,
            sampling=sampling,
            url=source.url,
            image=own_image(source.image, spec) if source.image else None,
            start_seconds=worker.start_seconds or DEFAULT_START_SECONDS,
            running=running_of(worker, side),
        )


def running_of(worker: Worker, side: str) -> Running:
    """The edge's selectors and tolerations are its nodes': see `sites_of`."""
    part = worker.autoscaling
    count = worker.replicas or 1
    scale = Scale(count, count)
    if part is not None:
        scale = Scale(
            part.min_replicas, part.max_replicas, part.autoscaler_class, part.metric, part.target
        )
    if side == EDGE:
        return Running(scale, service_account=worker.service_account)
    tolerations = tuple(t.model_dump(by_alias=True, exclude_none=True) for t in worker.tolerations)
    return Running(scale, worker.node_selector, tolerations, worker.service_account)


def claim_of(worker: Worker, field: str) -> Claim | None:
    """The claim that is made for the worker's model."""
    if worker.claim is None:
        return None
    uri = (worker.model and worker.model.storage_uri) or ""
    name = uri.removeprefix(_PVC).partition("/")[0]
    if not uri.startswith(_PVC) or not name:
        raise SpecFault(
            f"{field}.claim", f"the model's storageUri {uri!r} names no claim: pvc://CLAIM/PATH"
        )
    part = worker.claim
    return Claim(name, part.size, part.access_mode, part.storage_class)


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
    own = None
    if part.source is not None:
        own = own_algorithm(part.source, part.name, folder, field)
    name = own.path if own else part.name or _algorithm_of(part, field)
    values = _parameters(part, field)
    kept_promise(part, name, field)
    if own is not None or ":" in name:
        stage, taken = _own_stage(own.stage if own else None, part, name, field), None
    else:
        stage, taken = _checked(name, part, dict(values), field)
    if taken is not None and part.threshold is not None:
        raise SpecFault(f"{field}.threshold", "is among the parameters, too; give it once")
    router = values.pop("router", None) or part.router
    if taken is not None:
        values.pop("threshold", None)
    offers = spec.gateway.enabled and not discriminative
    resources = HEM_RESOURCES
    if part.resource is not None:
        default = Amounts(cpu=HEM_RESOURCES.cpu, memory=HEM_RESOURCES.memory)
        resources = resources_of(part.resource, default, field)
    mode = part.mining_mode or _MODES[stage]
    return Mining(
        mode,
        name,
        router=router,
        threshold=part.threshold if taken is None else taken,
        parameters=values,
        gateway=offers,
        resources=resources,
        settings={
            **_guards(part, field),
            **({"HEM_BATCH_POLICY": part.batch_policy} if part.batch_policy else {}),
            **(spec.gateway.environment() if offers else {}),
        },
        sidecar=part.placement == "sidecar",
        keys_secret=spec.gateway.keys_secret or GATEWAY_KEYS,
        own=own,
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
        values[parameter.called] = _option(parameter.value)
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


def _guards(part: HardExampleMining, field: str) -> dict[str, str]:
    """HEM_GUARDS; each guard and its parameters are checked as HEM checks them."""
    from transformers_hem.algorithms.parameters import parse
    from transformers_hem.guards import GUARDS

    blocks = []
    for index, guard in enumerate(part.guards):
        values = {each.called: _option(each.value) for each in guard.parameters}
        with at(f"{field}.guards[{index}]"):
            parse(guard.name, GUARDS.load(guard.name), dict(values))
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


def _own_stage(stage: str | None, part: HardExampleMining, name: str, field: str) -> str:
    """Of an algorithm that is not of the table: what its class says, or the mode."""
    if stage is not None:
        _refuse_mode(part.mining_mode, stage, name, field)
        return stage
    if part.mining_mode is None:
        raise SpecFault(
            f"{field}.miningMode",
            f"is required, as {name} has no stage that could be read: {' or '.join(MINING_MODES)}",
        )
    return next(stage for stage, mode in _MODES.items() if mode == part.mining_mode)


def _refuse_mode(mode: str | None, stage: str, name: str, field: str) -> None:
    if mode not in (None, _MODES[stage]):
        raise SpecFault(
            f"{field}.miningMode",
            f"{mode!r}: {name} mines the {stage}; leave it out, or write {_MODES[stage]!r}",
        )


def timeouts_of(spec: Spec) -> Timeouts:
    given = spec.timeouts.model_dump(exclude_none=True)
    with at("spec.timeouts"):
        return Timeouts(**given) if given else DEFAULT_TIMEOUTS


def images_of(spec: Spec) -> Images:
    """The images of ours under the spec's registry and tag, and what `names` says instead."""
    part = spec.images
    prefix = f"{part.registry.rstrip('/')}/" if part.registry else ""
    suffix = f":{part.tag}" if part.tag else ""
    fields = {name: f"{prefix}{image}{suffix}" for name, image in _defaults().items()}
    own = {image: name for name, image in _defaults().items()}
    for image, name in part.names.items():
        if image in own:
            fields[own[image]] = name
    return Images(**fields)


def own_image(image: str, spec: Spec) -> str:
    """An image of ours as the spec names it; any other as it is."""
    names = {plain: name for name, plain in _defaults().items()}
    return str(getattr(images_of(spec), names[image])) if image in names else image


def _defaults() -> dict[str, str]:
    images = Images()
    return {name: getattr(images, name) for name in Images.__slots__}


@dataclass(frozen=True, slots=True)
class SiteName:
    """A site's name, and where its pods run."""

    name: str
    node: EdgeNode


def sites_of(name: str, worker: EdgeWorker) -> list[SiteName]:
    """One site for each node; its names carry the node's where there are several."""
    tolerations = tuple(t.model_dump(by_alias=True, exclude_none=True) for t in worker.tolerations)
    if len(name) > LONGEST_SITE:
        raise SpecFault("metadata.name", _too_long(name, LONGEST_SITE))
    if not worker.nodes:
        return [SiteName(name, EdgeNode(labels=worker.node_selector, tolerations=tolerations))]
    sites: list[SiteName] = []
    for index, node in enumerate(worker.nodes):
        own = _NODE.sub("-", node.name.lower()).strip("-")
        if len(own) > LONGEST_NODE:
            raise SpecFault(f"spec.edgeWorker.nodes[{index}]", _too_long(own, LONGEST_NODE))
        site = name if len(worker.nodes) == 1 else _joined(name, own)
        if site in [other.name for other in sites]:
            raise SpecFault(
                f"spec.edgeWorker.nodes[{index}]",
                f"{node.name!r} and another node both make the site {site!r}; give one of them a "
                "name of its own: {name: ..., labels: {kubernetes.io/hostname: ...}}",
            )
        labels = {**worker.node_selector, **(node.labels or {})}
        hostname = None if node.labels else node.name
        sites.append(SiteName(site, EdgeNode(hostname, labels=labels, tolerations=tolerations)))
    return sites


def _joined(name: str, node: str) -> str:
    """`NAME-NODE`; where that is too long, as much of NAME as fits and a hash of it."""
    whole = f"{name}-{node}"
    if len(whole) <= LONGEST_SITE:
        return whole
    told = hashlib.sha256(name.encode()).hexdigest()[:_HASH]
    kept = name[: LONGEST_SITE - len(node) - _HASH - 2].rstrip("-")
    return f"{kept}-{told}-{node}"


def _too_long(name: str, longest: int) -> str:
    return (
        f"{name!r} has {len(name)} characters; at most {longest} leave room for the names that "
        "KServe makes from it"
    )
