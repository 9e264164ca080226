"""A worker's model: where it comes from, what serves it, and what that may use."""

from collections.abc import Mapping
from typing import Final

from inferencegraph.build.pods import Images, Resources
from inferencegraph.build.setup import Claim
from inferencegraph.build.sites import DEFAULT_START_SECONDS, CloudAPI, Model, Running, Scale
from inferencegraph.spec.engines import BLOCKS, SERVED_BESIDE
from inferencegraph.spec.faults import SpecFault, at
from inferencegraph.spec.resolve.images import own_image
from inferencegraph.spec.resolve.options import (
    arguments_of,
    config_block,
    server_arguments_of,
    server_environment_of,
)
from inferencegraph.spec.service import Spec, Worker
from inferencegraph.spec.serving import Amounts, Resource, Sampling as SamplingPart
from inferencegraph.spec.sources import (
    CLOUD_DEFAULT,
    CLOUD_DEFAULT_URL,
    DEFAULT_SECRET,
    EDGE_DEFAULT,
    ModelSource,
)
from predictors.contract import CLOUD, EDGE, Sampling
from predictors.contract.query import CONTRACT_SAMPLING
from predictors.errors import known

EDGE_RESOURCES: Final = Amounts(cpu="2", memory="4Gi")
CLOUD_RESOURCES: Final = Amounts(cpu="4", memory="8Gi")
GPU_MEMORY: Final = 0.9  # the query-routing document's default
SDK: Final = "sdk"
SDK_ENGINE: Final = "sedna"  # of an image without a command
_ELSEWHERE: Final = ("kserve", "openai_api", "sedna_worker", "triton")
_PVC: Final = "pvc://"
_CLASSIFIERS: Final = (".onnx", ".pt", ".pt2", ".torchscript")


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
            "or url, or a Model object of that name beside the spec",
        )
    return model


def engine_of(worker: Worker, spec: Spec, source: ModelSource, field: str) -> str:
    """The worker's own engine, the one of both sides where it can have that model, or what the
    source suggests."""
    own = worker.inference_config.engine if worker.inference_config else None
    suggested = _suggested(source)
    if source.url is not None:
        engine = own or suggested
        if engine not in _ELSEWHERE:
            raise SpecFault(
                f"{field}.inferenceConfig.engine",
                f"{engine!r} loads a model itself, but the model is at a url; use openai_api for "
                "an OpenAI-compatible API, kserve for a V2 server, triton for a Triton, "
                "sedna_worker for an old big-model worker",
            )
        return engine
    if spec.deployment_mode == SDK and source.image is None:
        raise SpecFault(
            f"{field}.model.image",
            "is required in deploymentMode sdk: the image with your own code, FROM "
            "kserve-hem-predictor, or with a command of its own",
        )
    if source.command:
        _refuse_beside_command(own, spec, field)
        return SDK_ENGINE
    engine = own or spec.inference_config.engine or suggested
    if engine is None and spec.deployment_mode == SDK:
        engine = SDK_ENGINE
    if engine is None:
        raise SpecFault(
            f"{field}.inferenceConfig.engine", f"is required with an image; {known('', BLOCKS)}"
        )
    return engine


def _refuse_beside_command(engine: str | None, spec: Spec, field: str) -> None:
    if spec.deployment_mode != SDK:
        raise SpecFault(
            f"{field}.model.command",
            "is for deploymentMode sdk; in oneclick an image is started as its engine is",
        )
    if engine is not None:
        raise SpecFault(
            f"{field}.inferenceConfig.engine",
            f"{engine!r} would not be used, as model.command starts a server of your own; leave "
            "one of both out",
        )


def _suggested(source: ModelSource) -> str | None:
    if source.url is not None:
        return "triton" if source.url.startswith(("grpc://", "grpcs://")) else "openai_api"
    if source.image is not None:
        return None
    place = source.file or source.storage_uri or ""
    if place.startswith("digits:") or place.endswith(_CLASSIFIERS):
        return "classifier"
    return "huggingface"


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
            accelerator=resource.accelerator,
        )


def sampling_of(part: SamplingPart | None) -> Sampling:
    given = part.model_dump(exclude_none=True) if part else {}
    return Sampling(**given) if given else CONTRACT_SAMPLING


def model_of(
    worker: Worker,
    spec: Spec,
    side: str,
    field: str,
    models: Mapping[str, ModelSource],
    images: Images,
) -> Model | CloudAPI:
    """The worker's model as a pod serves it, or the API that has it."""
    source = model_source(worker, side, field, models)
    engine = engine_of(worker, spec, source, field)
    block = config_block(worker, spec, engine)
    beside = engine in SERVED_BESIDE
    arguments = () if beside or source.command else arguments_of(block)
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
            server_arguments=server_arguments_of(block, engine) if beside else (),
            server_environment=server_environment_of(block, engine) if beside else {},
            sampling=sampling,
            url=source.url,
            image=own_image(source.image, images) if source.image else None,
            command=source.command,
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
    account = worker.service_account.name if worker.service_account else None
    if side == EDGE:
        return Running(scale, service_account=account)
    tolerations = tuple(t.model_dump(by_alias=True, exclude_none=True) for t in worker.tolerations)
    return Running(scale, worker.node_selector, tolerations, account)


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
