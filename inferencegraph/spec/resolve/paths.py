"""Relative paths of a spec, which begin at the spec's own folder, as kustomize's do."""

import os
from pathlib import Path
from typing import Final, TypeVar

from inferencegraph.spec.mining import Guard, HardExampleMining, Parameter
from inferencegraph.spec.service import EdgeWorker, Worker
from inferencegraph.spec.sources import SHIPPED, ModelSource

W = TypeVar("W", bound=Worker)
# A parameter may be a hub's id, too, which looks like a path; only these are one.
_PATHS: Final = ("./", "../")


def located(worker: W | None, folder: Path) -> W | None:
    """The worker with whole paths for `file`, for the router's folder, and for parameters that
    begin with a dot."""
    if worker is None:
        return None
    found: dict[str, object] = {}
    if worker.model is not None:
        found["model"] = located_source(worker.model, folder)
    if isinstance(worker, EdgeWorker) and worker.hard_example_mining is not None:
        found["hard_example_mining"] = _mining(worker.hard_example_mining, folder)
    return worker.model_copy(update=found)


def located_source(source: ModelSource, folder: Path) -> ModelSource:
    if source.file is None:
        return source
    return source.model_copy(update={"file": whole(source.file, folder)})


def whole(place: str, folder: Path) -> str:
    """A path as it is without `folder`; what ships with the project, or has a scheme, stays."""
    if "://" in place or place.startswith(SHIPPED):
        return place
    return os.path.abspath(folder / place)


def _mining(part: HardExampleMining, folder: Path) -> HardExampleMining:
    def of(parameter: Parameter) -> Parameter:
        value = parameter.value
        if isinstance(value, str) and (
            value.startswith(_PATHS) or parameter.called.lower() == "router"
        ):
            return parameter.model_copy(update={"value": whole(value, folder)})
        return parameter

    def guarded(guard: Guard) -> Guard:
        return guard.model_copy(update={"parameters": tuple(map(of, guard.parameters))})

    found: dict[str, object] = {
        "parameters": tuple(map(of, part.parameters)),
        "guards": tuple(map(guarded, part.guards)),
    }
    if part.router is not None:
        found["router"] = whole(part.router, folder)
    return part.model_copy(update=found)
