"""A worker's model: where it comes from, what serves it, and what that may use."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final, TypeAlias

from inferencegraph.build.engine_file import unless_filed
from inferencegraph.build.llm_service import LLMService
from inferencegraph.build.multi_node import MultiNode
from inferencegraph.build.pods import Images
from inferencegraph.build.sites import DEFAULT_START_SECONDS, CloudAPI, Model
from inferencegraph.spec.blocks import EngineConfig
from inferencegraph.spec.engines import BLOCKS, SERVED_BESIDE
from inferencegraph.spec.faults import SpecFault, at
from inferencegraph.spec.resolve.design import ENGINE
from inferencegraph.spec.resolve.images import own_image
from inferencegraph.spec.resolve.llm_service import at_its_url, llm_service_of
from inferencegraph.spec.resolve.multi_node import multi_node_of
from inferencegraph.spec.resolve.options import (
    arguments_of,
    config_block,
    file_of,
    server_arguments_of,
    server_environment_of,
)
from inferencegraph.spec.resolve.parallel import Spread, spread_of
from inferencegraph.spec.resolve.resources import (
    CLOUD_RESOURCES,
    EDGE_RESOURCES,
    resources_of,
    running_of,
    sampling_of,
)
from inferencegraph.spec.service import CloudWorker, Metadata, Spec, Worker
from inferencegraph.spec.sources import (
    CLOUD_DEFAULT,
    CLOUD_DEFAULT_URL,
    DEFAULT_SECRET,
    EDGE_DEFAULT,
    ModelSource,
)
from predictors.contract import CLOUD, EDGE
from predictors.errors import known

Served: TypeAlias = Model | CloudAPI | LLMService | MultiNode

GPU_MEMORY: Final = 0.9  # the query-routing document's default
SDK: Final = "sdk"
SDK_ENGINE: Final = "sedna"  # of an image without a command
_ELSEWHERE: Final = ("kserve", "openai_api", "sedna_worker", "triton")
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
            f"{model.name!r} is only a name; add where it comes from: storageUri, hub, file, "
            "image, url or llmInferenceService, or a Model object of that name beside the spec",
        )
    return model


def engine_of(
    worker: Worker, spec: Spec, source: ModelSource, field: str, joint: bool = False
) -> str:
    """The worker's own engine, the one of both sides where it can have that model, or what the
    source suggests; joint: the strategy's."""
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
    engine = own or (ENGINE if joint else None) or spec.inference_config.engine or suggested
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


def model_of(
    worker: Worker,
    spec: Spec,
    side: str,
    field: str,
    models: Mapping[str, ModelSource],
    metadata: Metadata,
    images: Images,
    joint: bool = False,
) -> Served:
    """The worker's model as something serves it, or the API that has it. joint: its engine asks the
    cloud itself."""
    source = model_source(worker, side, field, models)
    if source.llm_inference_service is not None and side == EDGE:
        raise SpecFault(
            f"{field}.model.llmInferenceService",
            "is a large model in a cluster; an edge model has storageUri, hub, file, image or url",
        )
    source = at_its_url(source, metadata)
    if isinstance(worker, CloudWorker) and worker.llm_inference_service is not None:
        return llm_service_of(worker, spec, source, field, metadata, images)
    engine = engine_of(worker, spec, source, field, joint)
    if engine == ENGINE and not joint:
        raise SpecFault(
            f"{field}.inferenceConfig.engine",
            f"{ENGINE!r} asks the cloud itself: leave it out, and give an edgeWorker with "
            "hardExampleMining {miningMode: self-design, strategy: speculative}",
        )
    block = config_block(worker, spec, engine, field)
    if source.url is not None and side == CLOUD:
        return _api(worker, source, engine, block, field, metadata)
    default = EDGE_RESOURCES if side == EDGE else CLOUD_RESOURCES
    resources = resources_of(worker.resource, default, field)
    spread = spread_of(block, engine, worker.resource, resources, field)
    if spread.nodes > 1:
        return multi_node_of(worker, source, engine, spread, field, metadata, images)
    if engine == "triton" and source.image is not None and side == CLOUD:
        _refuse_for_a_bare_triton(worker, field)
        spread = replace(spread, block=None)
    return _pod(worker, side, source, engine, spread, field, metadata, images)


def with_one_file(
    edge: Served | None, cloud: Served | None, owner: str
) -> tuple[Served | None, Served | None]:
    """Both sides; where their files say the same, as with a block of both, they are one."""
    if not (edge and cloud and edge.config and cloud.config):
        return edge, cloud
    if edge.config.values != cloud.config.values:
        return edge, cloud
    config = replace(edge.config, name=f"{owner}-engine")
    return replace(edge, config=config), replace(cloud, config=config)


def _api(
    worker: Worker,
    source: ModelSource,
    engine: str,
    block: EngineConfig | None,
    field: str,
    metadata: Metadata,
) -> CloudAPI:
    if source.url is None or source.name is None:
        raise SpecFault(f"{field}.model.name", "is required: the model's name at the url")
    secret = source.secret
    return CloudAPI(
        source.url,
        source.name,
        secret.name if secret else None,
        sampling_of(worker.sampling),
        engine=engine,
        key=secret.key if secret else "key",
        arguments=arguments_of(block),
        config=file_of(block, engine, f"{metadata.name}-cloud-engine"),
    )


def _pod(
    worker: Worker,
    side: str,
    source: ModelSource,
    engine: str,
    spread: Spread,
    field: str,
    metadata: Metadata,
    images: Images,
) -> Model:
    block, beside = spread.block, engine in SERVED_BESIDE
    if source.command:  # a server of the user's own has no engine's options
        block = None
    config = file_of(block, engine, f"{metadata.name}-{side}-engine")
    arguments = () if beside else arguments_of(block)
    if engine == "vllm" and spread.resources.gpus:
        share = unless_filed([f"--gpu_memory_utilization={GPU_MEMORY:g}"], config)
        arguments = (*share, *arguments)
    named = source.url is not None or source.image is not None
    with at(f"{field}.model"):
        return Model(
            spread.resources,
            directory=source.hub or source.file or (source.name if named else None),
            storage_uri=source.storage_uri,
            engine=engine,
            arguments=arguments,
            server_arguments=server_arguments_of(block, engine) if beside else (),
            server_environment=server_environment_of(block, engine) if beside else {},
            sampling=sampling_of(worker.sampling),
            url=source.url,
            image=own_image(source.image, images) if source.image else None,
            command=source.command,
            start_seconds=worker.start_seconds or DEFAULT_START_SECONDS,
            running=running_of(worker, side),
            config=config,
        )


def _refuse_for_a_bare_triton(worker: Worker, field: str) -> None:
    """A Triton in the cloud whose image has its model is asked by the uplinks, in V2."""
    if worker.inference_config and worker.inference_config.triton_config:
        raise SpecFault(
            f"{field}.inferenceConfig.tritonConfig",
            "is for a predictor of ours in front of Triton, and an image with its own Triton has "
            "none; leave it out",
        )
