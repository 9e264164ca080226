"""Which field of a spec a rendered line comes from, for the comments of `hem render`.

A line is told by what it begins with, in the first place where it stands in an object. Only fields
that the spec has are named: a line without a comment is a default, or follows from others.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import BaseModel

from inferencegraph.build.engine_file import ANNOTATION
from inferencegraph.build.engine_servers import SERVERS
from inferencegraph.build.learning import CHECK, FIRST, RETRAIN, VERSIONS
from inferencegraph.build.pods import COMPONENT_LABEL
from inferencegraph.build.setup import Setup
from inferencegraph.build.sites import Model
from inferencegraph.spec.engines import BLOCKS, BY_ENVIRONMENT, SERVED_BESIDE
from inferencegraph.spec.service import Spec, Worker
from predictors.contract import CLOUD, EDGE

# What a line begins with -> the field's path in the spec.
Origins = Mapping[str, str]
Row = tuple[str, str]

GRAPH, HEM, UPLINK, GATEWAY = "graph", "hem", "uplink", "gateway"
_VARIABLE: Final = "- name: "  # of a container, too
# By an object's component: what a line begins with, and the field where the spec has it.
ROWS: Final[Mapping[str, tuple[Row, ...]]] = {
    GRAPH: (
        ("serverWrite:", "timeouts.serviceClient"),
        ("serviceClient:", "timeouts.serviceClient"),
        ("kubernetes.io/hostname:", "edgeWorker.nodes"),
    ),
    EDGE: (
        ("- --predictor_request_timeout_seconds=", "timeouts.edge"),
        ("kubernetes.io/hostname:", "edgeWorker.nodes"),
    ),
    HEM: (
        ("resources:", "edgeWorker.hardExampleMining.resource"),
        ("kubernetes.io/hostname:", "edgeWorker.nodes"),
    ),
    UPLINK: (("kubernetes.io/hostname:", "edgeWorker.nodes"),),
    CLOUD: (
        ("nodeSelector:", "cloudWorker.nodeSelector"),
        ("tolerations:", "cloudWorker.tolerations"),
    ),
    GATEWAY: (
        ("parentRefs:", "expose.parentRefs"),
        ("hostnames:", "expose.host"),
        ("- host:", "expose.host"),
        ("ingressClassName:", "expose.ingressClassName"),
        ("secretName:", "expose.tlsSecret"),
    ),
    FIRST: (
        ("- --add=", "edgeWorker.hardExampleMining.router"),
        ("- --keep=", "retrain.keep"),
        ("claimName:", "retrain.versions.claim"),
    ),
    RETRAIN: (
        ("schedule:", "retrain.schedule"),
        ("- --max-quality-loss=", "retrain.promise.maxQualityLoss"),
        ("- --edge-ratio=", "retrain.promise.edgeRatio"),
        ("- --confidence=", "retrain.promise.confidence"),
        ("- --data=", "retrain.data"),
        ("- --own", "retrain.own"),
        ("- --limit=", "retrain.limit"),
        ("- --significance=", "retrain.significance"),
        ("- --keep=", "retrain.keep"),
        ("- name: HEM_FEEDBACK_STORE", "feedback.store"),
        ("resources:", "retrain.resource"),
    ),
    CHECK: (
        ("schedule:", "retrain.check"),
        ("- name: HEM_FEEDBACK_STORE", "feedback.store"),
    ),
    VERSIONS: (
        ("accessModes:", "retrain.versions.accessMode"),
        ("storage:", "retrain.versions.size"),
        ("storageClassName:", "retrain.versions.storageClass"),
    ),
}
_OF_WORKERS: Final = (
    ("minReplicas:", "replicas"),
    ("maxReplicas:", "replicas"),
    ("minReplicas:", "autoscaling.minReplicas"),
    ("maxReplicas:", "autoscaling.maxReplicas"),
    ("scaleMetric:", "autoscaling.metric"),
    ("scaleTarget:", "autoscaling.target"),
    ("serving.kserve.io/autoscalerClass:", "autoscaling.class"),
    ("serviceAccountName:", "serviceAccount"),
)
_OF_MODELS: Final = (  # where our container loads the model itself
    ("- --model_dir=", "model.hub"),
    ("- --model_dir=", "model.file"),
    ("- name: STORAGE_URI", "model.storageUri"),
    ("image:", "model.image"),
    ("resources:", "resource"),
    ("startupProbe:", "startSeconds"),
)
_OF_APIS: Final = (
    ("- --url=", "model.url"),
    ("- --upstream_model=", "model.name"),
    ("- name: PREDICTOR_API_KEY", "model.secret"),
)
_OF_FORWARDERS: Final = (
    ("- name: PREDICTOR_CONNECT_TIMEOUT", "timeouts.cloudConnect"),
    ("- name: PREDICTOR_TIMEOUT", "timeouts.cloud"),
    ("- name: PREDICTOR_MAX_CONCURRENCY", "uplink.maxConcurrency"),
    ("- name: PREDICTOR_MAX_QUEUE", "uplink.maxQueue"),
)
_OF_MINING: Final = (
    ("- name: PYTHONPATH", "source"),
    ("- name: MINING_MODE", "miningMode"),
    ("- name: HEM_STRATEGY_PARAMETERS", "strategy.parameters"),
    ("- name: HEM_STRATEGY", "strategy"),
    ("- name: PYTHONPATH", "strategy.source"),
    ("- name: HEM_ALGORITHM", "name"),
    ("- name: HEM_ROUTER", "router"),
    ("- name: HEM_THRESHOLD", "threshold"),
    ("- name: HEM_PARAMETERS", "parameters"),
    ("- name: HEM_GUARDS", "guards"),
    ("- name: HEM_BATCH_POLICY", "batchPolicy"),
)
_OF_FEEDBACK: Final = (
    ("- name: HEM_FEEDBACK_STORE", "store"),
    *(
        (f"- name: HEM_FEEDBACK_{name.upper()}", name)
        for name in ("text", "days", "rows", "sync", "scorer")
    ),
    ("- name: HEM_FEEDBACK_PER_MINUTE", "perMinute"),
    ("- name: HEM_FEEDBACK_SHADOW_EDGE", "shadowEdge"),
    ("- name: HEM_FEEDBACK_SHADOW", "shadow"),
    ("- name: HEM_FEEDBACK_PUSH_KEY_FILE", "push.secret"),
    ("- name: HEM_FEEDBACK_PUSH", "push.url"),
)
_KINDS: Final = (
    *("InferenceService", "InferenceGraph", "HTTPRoute", "Ingress"),
    *("Job", "CronJob", "PersistentVolumeClaim"),
)


def origins_of(spec: Spec, setup: Setup) -> Mapping[str, Origins]:
    """By component; `setup` has the spec's values."""
    found: dict[str, dict[str, str]] = {}
    for component in ROWS:
        rows: dict[str, str] = {}
        for start, field in _rows(component, spec, setup):
            if is_set(spec, field):
                rows.setdefault(start, f"spec.{field}")
        found[component] = rows
    return found


def origins_in(content: Mapping[str, Any], origins: Mapping[str, Origins]) -> Origins:
    """Those of one object. Only what queries pass has lines of fields, the way in to it, and what
    retrains its router."""
    if content["kind"] not in _KINDS:
        return {}
    return origins.get(content["metadata"]["labels"][COMPONENT_LABEL], {})


def is_set(part: Any, path: str) -> bool:
    """Whether the document has the field at a path of names as YAML has them."""
    for name in path.split("."):
        if isinstance(part, dict):
            if name not in part:
                return False
            part = part[name]
            continue
        if not isinstance(part, BaseModel):
            return False
        fields = type(part).model_fields
        own = next((n for n, f in fields.items() if name in (f.serialization_alias, f.alias)), None)
        if own is None or own not in part.model_fields_set:
            return False
        part = getattr(part, own)
    return part is not None


def _rows(component: str, spec: Spec, setup: Setup) -> Iterator[Row]:
    yield from ROWS[component]
    if component in (EDGE, CLOUD):
        yield from _of_side(component, spec, setup)
    joint = component == EDGE and setup.mining is not None and setup.mining.joint
    if component == UPLINK or joint or (component == CLOUD and not setup.sites):
        yield from _OF_FORWARDERS
    if joint and not isinstance(setup.cloud, Model):
        yield from _below(f"{CLOUD}Worker", _OF_APIS)
    if component == UPLINK or (component == CLOUD and not isinstance(setup.cloud, Model)):
        yield from _of_sampling(CLOUD, spec)
        if not isinstance(setup.cloud, Model):
            yield from _below(f"{CLOUD}Worker", _OF_APIS)
    if component in (HEM, EDGE):
        yield from _of_mining(spec)
    if component not in (GRAPH, GATEWAY):
        yield from _of_images(spec, setup)


def _of_side(side: str, spec: Spec, setup: Setup) -> Iterator[Row]:
    """A worker's model, where it is no API."""
    model = setup.edge if side == EDGE else setup.cloud
    worker = spec.edge_worker if side == EDGE else spec.cloud_worker
    if not isinstance(model, Model) or worker is None:
        return
    field = f"{side}Worker"
    yield from _below(field, _OF_WORKERS)
    yield from _of_sampling(side, spec)
    if model.url is not None:
        yield from _below(field, _OF_APIS)
    elif model.engine not in SERVERS or model.image is not None:
        yield from _below(field, _OF_MODELS)
    else:
        yield from _of_server(field, model)
    yield from _of_engine(field, worker, spec, model.engine)


def _of_server(field: str, model: Model) -> Iterator[Row]:
    """What stands in the container of a server beside ours, and nowhere else."""
    yield "claimName:", f"{field}.model.storageUri"
    for option in ("--model=", "--model-path=", ""):
        yield f"- {option}{model.directory}", f"{field}.model.hub"
    if model.config is None:  # which may say over how many it is spread
        yield f"{model.resources.accelerator}:", f"{field}.resource"


def _of_engine(field: str, worker: Worker, spec: Spec, engine: str) -> Iterator[Row]:
    """The engine, and its block, of the worker or of both sides."""
    own = worker.inference_config
    block = BLOCKS.get(engine)
    for config, place in (
        (own, f"{field}.inferenceConfig"),
        (spec.inference_config, "inferenceConfig"),
    ):
        if config is None:
            continue
        start = f"{_VARIABLE}{engine}" if engine in SERVED_BESIDE else f"- --engine={engine}"
        yield start, f"{place}.engine"
        if block is None or (part := getattr(config, block)) is None:
            continue
        name = type(config).model_fields[block].alias
        yield f"{ANNOTATION}:", f"{place}.{name}"
        for option in part.model_fields_set - {"extra_args"}:
            alias = type(part).model_fields[option].alias
            yield _start(option, engine), f"{place}.{name}.{alias}"
        for argument in part.extra_args:
            yield f"- {argument}", f"{place}.{name}.extraArgs"
        return


def _start(option: str, engine: str) -> str:
    if engine in BY_ENVIRONMENT:
        return f"{_VARIABLE}{BY_ENVIRONMENT[engine]}{option.upper()}"
    return f"- --{option.replace('_', '-') if engine in SERVED_BESIDE else option}="


def _of_sampling(side: str, spec: Spec) -> Iterator[Row]:
    worker = spec.edge_worker if side == EDGE else spec.cloud_worker
    part = worker.sampling if worker else None
    if part is None:
        return
    for name in part.model_fields_set:
        alias = type(part).model_fields[name].alias
        yield f"{_VARIABLE}PREDICTOR_{name.upper()}", f"{side}Worker.sampling.{alias}"


def _of_mining(spec: Spec) -> Iterator[Row]:
    field = f"{EDGE}Worker.hardExampleMining"
    part = spec.edge_worker.hard_example_mining if spec.edge_worker else None
    served: tuple[Row, ...] = _OF_MINING
    if spec.retrain is not None:  # HEM's router is the volume, and the field's the first version
        served = tuple(row for row in served if row[1] != "router")
    yield from _below(field, served)
    if spec.feedback is not None:
        yield from _below("feedback", _OF_FEEDBACK)
    if part is not None and part.router is not None:
        yield f"{_VARIABLE}STORAGE_URI", f"{field}.router"
    if part is not None and part.threshold is None:
        yield f"{_VARIABLE}HEM_THRESHOLD", f"{field}.parameters"
    if part is not None and part.config_map is not None:
        yield f"name: {part.config_map}", f"{field}.configMap"
    for name in ("sticky", "onBreak", "retries"):
        variable = "ON_BREAK" if name == "onBreak" else name.upper()
        yield f"{_VARIABLE}HEM_{variable}", f"gateway.{name}"
    for name in spec.gateway.settings:
        yield f"{_VARIABLE}HEM_{name.upper()}", f"gateway.settings.{name}"
    if spec.gateway.keys_secret:
        yield f"{_VARIABLE}{spec.gateway.keys_secret}", "gateway.keysSecret"


def _of_images(spec: Spec, setup: Setup) -> Iterator[Row]:
    part = spec.images
    for name, image in part.names.items():
        yield f"image: {image}", f"images.names.{name}"
    for image in setup.images.engines.values():
        yield f"image: {image}", "images.configMap"
    prefix = f"{part.registry.rstrip('/')}/" if part.registry else ""
    for image in setup.images.ours.values() if part.registry or part.tag else ():
        if image.startswith(prefix) and image.endswith(part.tag or ""):
            yield f"image: {image}", "images.registry" if part.registry else "images.tag"
    yield "imagePullSecrets:", "images.pullSecret"


def _below(field: str, rows: tuple[Row, ...]) -> Iterator[Row]:
    return ((start, f"{field}.{path}") for start, path in rows)
