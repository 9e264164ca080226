"""What probes are told, how many rows a request may have, and why nobody loads a model."""

from typing import Any, NoReturn

from grpc_interceptor.exceptions import PermissionDenied
from kserve import InferRequest
from kserve.protocol.dataplane import DataPlane
from kserve.protocol.model_repository_extension import ModelRepositoryExtension

from predictors.contract import TEXT_INPUT
from predictors.contract.codec import grpc_error
from predictors.errors import HEMError, PayloadTooLarge


class TruthfulDataPlane(DataPlane):
    """Ready is a server whose models can all answer and that takes new work; live, one that can
    answer again without a new process. kserve's own says yes to both as soon as it listens.

    A request has `max_rows` queries at most: each costs memory and time many times its bytes."""

    def __init__(self, model_registry: Any, max_rows: int) -> None:
        super().__init__(model_registry)
        self._max_rows = max_rows

    async def infer(
        self, model_name: str, request: Any, headers: dict[str, str] | None = None
    ) -> Any:
        """Raises PayloadTooLarge, or its like over gRPC."""
        if isinstance(request, InferRequest):
            for tensor in request.inputs:
                if tensor.name == TEXT_INPUT and tensor.shape and tensor.shape[0] > self._max_rows:
                    error = PayloadTooLarge(
                        f"the request has {tensor.shape[0]} queries; the limit is "
                        f"{self._max_rows} (max_rows)"
                    )
                    raise grpc_error(error) if request.from_grpc else error
        return await super().infer(model_name, request, headers)

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
