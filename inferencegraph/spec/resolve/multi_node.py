"""A cloud model that takes several nodes."""

from typing import Final

from inferencegraph.build.multi_node import SCHEMES, MultiNode
from inferencegraph.build.pods import Images
from inferencegraph.spec.engines import BLOCKS
from inferencegraph.spec.faults import SpecFault
from inferencegraph.spec.resolve.options import arguments_of, file_of, written
from inferencegraph.spec.resolve.parallel import Spread, sizes_left_out
from inferencegraph.spec.resolve.resources import running_of, sampling_of
from inferencegraph.spec.service import EdgeWorker, Metadata, Worker
from inferencegraph.spec.sources import ModelSource
from predictors.contract import CLOUD

_ENGINE: Final = "vllm-server"


def multi_node_of(
    worker: Worker,
    source: ModelSource,
    engine: str,
    spread: Spread,
    field: str,
    metadata: Metadata,
    images: Images,
) -> MultiNode:
    """Raises SpecFault for what KServe can't spread over nodes."""
    pods = f"{spread.nodes} nodes with {spread.resources.gpus} accelerators each"
    _refuse_engine(worker, engine, pods, field)
    uri = _uri(source, pods, field)
    _refuse_one_nodes_claim(worker, pods, field)
    _refuse_of_one_pod(worker, pods, field)
    block = sizes_left_out(spread.block, "tensor_parallel_size", "pipeline_parallel_size")
    return MultiNode(
        uri,
        spread.resources,
        spread.tensor,
        spread.nodes,
        running=running_of(worker, CLOUD),
        start_seconds=worker.start_seconds,
        arguments=arguments_of(block),
        config=file_of(block, engine, f"{metadata.name}-cloud-engine"),
        sampling=sampling_of(worker.sampling),
        image=images.engines.get("vllm"),
    )


def _refuse_engine(worker: Worker, engine: str, pods: str, field: str) -> None:
    sizes = f"{field}.inferenceConfig.{written(BLOCKS[engine])}"
    if isinstance(worker, EdgeWorker):
        raise SpecFault(
            sizes,
            f"asks for {pods}, but an edge model runs on one node; give smaller sizes, or more "
            "gpus to its pod, or put the model into cloudWorker",
        )
    if engine != _ENGINE:
        raise SpecFault(
            f"{field}.inferenceConfig.engine",
            f"{engine!r} runs in one pod, but the sizes ask for {pods}; write {_ENGINE}",
        )


def _uri(source: ModelSource, pods: str, field: str) -> str:
    if source.storage_uri is None or not source.storage_uri.startswith(SCHEMES):
        raise SpecFault(
            f"{field}.model",
            f"KServe gives {pods} a model from {' or '.join(SCHEMES)} only; write such a "
            "storageUri",
        )
    return source.storage_uri


def _refuse_one_nodes_claim(worker: Worker, pods: str, field: str) -> None:
    if worker.claim is not None and worker.claim.access_mode == "ReadWriteOnce":
        raise SpecFault(
            f"{field}.claim.accessMode",
            f"ReadWriteOnce is for the pods of one node, but the model runs on {pods}; write "
            "ReadWriteMany or ReadOnlyMany, of a storageClass that has it",
        )


def _refuse_of_one_pod(worker: Worker, pods: str, field: str) -> None:
    """Fields that mean one pod, or many alike."""
    if worker.autoscaling is not None or (worker.replicas or 1) > 1:
        what = "replicas" if worker.autoscaling is None else "autoscaling"
        raise SpecFault(
            f"{field}.{what}",
            f"KServe makes one group of {pods}; leave it out, or let one pod hold the model",
        )
    if worker.template is not None:
        raise SpecFault(
            f"{field}.template",
            f"is not carried over to {pods}; nodeSelector, tolerations and serviceAccount are "
            f"fields of {field}",
        )
