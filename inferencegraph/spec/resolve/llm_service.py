"""A cloud that is KServe's LLMInferenceService: one that is there already, or one that is made."""

from inferencegraph.build.llm_service import SCHEMES, LLMService, Reached
from inferencegraph.build.pods import Images
from inferencegraph.build.sites import DEFAULT_START_SECONDS, Running
from inferencegraph.spec.faults import SpecFault
from inferencegraph.spec.resolve.options import arguments_of, config_block, file_of
from inferencegraph.spec.resolve.parallel import Spread, sizes_left_out, spread_of
from inferencegraph.spec.resolve.resources import (
    CLOUD_RESOURCES,
    resources_of,
    running_of,
    sampling_of,
)
from inferencegraph.spec.service import CloudWorker, Metadata, Spec
from inferencegraph.spec.sources import LLMServiceReached, ModelSource
from predictors.contract import CLOUD

_ENGINE = "vllm-server"  # what KServe's templates start
_ENGINES = (None, "vllm", _ENGINE)


def at_its_url(source: ModelSource, metadata: Metadata) -> ModelSource:
    """The source of a model that an LLMInferenceService has, by that one's address."""
    there = source.llm_inference_service
    if there is None:
        return source
    namespace = there.namespace or metadata.namespace
    url = reached(there, namespace).url(there.name, namespace)
    return ModelSource(name=source.name or there.name, url=url, secret=source.secret)


def reached(part: LLMServiceReached, namespace: str | None) -> Reached:
    """Raises SpecFault where KServe's route would have a namespace in it that nobody says."""
    if part.gateway and namespace is None:
        raise SpecFault(
            "metadata.namespace",
            "is required: the gateway's path of an LLMInferenceService begins with its namespace",
        )
    return Reached(part.gateway)


def llm_service_of(
    worker: CloudWorker,
    spec: Spec,
    source: ModelSource,
    field: str,
    metadata: Metadata,
    images: Images,
) -> LLMService:
    """Raises SpecFault for what KServe's own templates can't be told."""
    part = worker.llm_inference_service
    assert part is not None
    uri = _uri(source, field)
    _refuse_engine(worker, field)
    running = running_of(worker, CLOUD)
    _refuse_hpa(running, field)
    if part.gateway and not part.router:
        raise SpecFault(
            f"{field}.llmInferenceService.router", "is false, but gateway leads through it"
        )
    block = config_block(worker, spec, _ENGINE, field)
    resources = resources_of(worker.resource, CLOUD_RESOURCES, field)
    spread = spread_of(block, _ENGINE, worker.resource, resources, field)
    _refuse_nodes(spread, field)
    block = sizes_left_out(spread.block, "tensor_parallel_size")
    served = source.name or source.hub or f"{metadata.name}-cloud"
    return LLMService(
        uri,
        served,
        spread.resources,
        tensor=spread.tensor,
        running=running,
        start_seconds=worker.start_seconds or DEFAULT_START_SECONDS,
        arguments=arguments_of(block),
        config=file_of(block, _ENGINE, f"{metadata.name}-cloud-engine"),
        sampling=sampling_of(worker.sampling),
        router=part.router,
        reached=reached(part, metadata.namespace),
        namespace=metadata.namespace,
        image=images.engines.get("vllm"),
    )


def _uri(source: ModelSource, field: str) -> str:
    uri = f"hf://{source.hub}" if source.hub else source.storage_uri
    if uri is None or not uri.startswith(SCHEMES):
        raise SpecFault(
            f"{field}.model",
            f"an LLMInferenceService takes a hub id, or a storageUri with {', '.join(SCHEMES)}",
        )
    return uri


def _refuse_engine(worker: CloudWorker, field: str) -> None:
    own = worker.inference_config.engine if worker.inference_config else None
    if own not in _ENGINES:
        raise SpecFault(
            f"{field}.inferenceConfig.engine",
            f"{own!r}: an LLMInferenceService is served by vLLM; write vllm-server, or leave "
            "llmInferenceService out",
        )


def _refuse_nodes(spread: Spread, field: str) -> None:
    if spread.nodes > 1:
        raise SpecFault(
            f"{field}.inferenceConfig.vllmConfig.pipelineParallelSize",
            f"KServe has no template for an LLMInferenceService over {spread.nodes} nodes; leave "
            "llmInferenceService out, and an InferenceService is made",
        )


def _refuse_hpa(running: Running, field: str) -> None:
    if running.scale.autoscaler == "hpa":
        raise SpecFault(
            f"{field}.autoscaling.class",
            "an LLMInferenceService is scaled by KEDA: write class: keda",
        )
