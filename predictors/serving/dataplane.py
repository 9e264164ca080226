"""What probes are told, and why nobody loads or unloads the model of a server."""

from typing import Any, NoReturn

from grpc_interceptor.exceptions import PermissionDenied
from kserve.protocol.dataplane import DataPlane
from kserve.protocol.model_repository_extension import ModelRepositoryExtension

from predictors.errors import HEMError


class TruthfulDataPlane(DataPlane):
    """Ready is a server whose models can all answer and that takes new work; live, one that can
    answer again without a new process. kserve's own says yes to both as soon as it listens."""

    async def ready(self) -> bool:
        models = list(self.model_registry.get_models().values())
        return bool(models) and all([await _takes_work(model) for model in models])

    async def live(self) -> dict[str, str]:
        models = list(self.model_registry.get_models().values())
        alive = bool(models) and all(model.alive() for model in models)
        return {"status": "alive" if alive else "dead"}

    async def model_ready(
        self, model_name: str, disable_predictor_health_check: bool = False
    ) -> bool:
        """Probes and inferences both ask; the latter with `disable_predictor_health_check`, and
        they are answered until the servers end. Raises kserve's ModelNotFound."""
        if disable_predictor_health_check:
            return bool(await super().model_ready(model_name, True))
        return await _takes_work(self.get_model_from_registry(model_name))

    def metadata(self) -> dict[str, Any]:
        return {**super().metadata(), "extensions": []}


async def _takes_work(model: Any) -> bool:
    return not model.stopping and bool(await model.answers())


class RepositoryClosed(HEMError, PermissionDenied):
    """403 over REST, PERMISSION_DENIED over gRPC."""

    status = 403

    def __init__(self, what: str, model_name: str) -> None:
        message = (
            f"model {model_name!r} can't be {what}ed: on this server nobody loads or unloads a "
            "model while it runs, as that would take it from all its callers; to change or stop "
            "it, change or delete its InferenceService"
        )
        HEMError.__init__(self, message)
        self.details = message


class ClosedRepository(ModelRepositoryExtension):
    """Refuses V2's `/v2/repository/models/NAME/load` and `unload`, and their gRPC twins.

    kserve's own let any caller unload the model, and nothing could load it again.
    """

    async def load(self, model_name: str) -> NoReturn:
        raise RepositoryClosed("load", model_name)

    async def unload(self, model_name: str) -> NoReturn:
        raise RepositoryClosed("unload", model_name)
