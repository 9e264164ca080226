"""kserve's gRPC server, with bounds of its own for connections, and an end that waits."""

from concurrent import futures
from typing import Any, Final

from grpc import aio
from kserve import model_server
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import (
    add_GRPCInferenceServiceServicer_to_server,
)
from kserve.protocol.grpc.interceptors import ExceptionToStatusInterceptor
from kserve.protocol.grpc.server import GRPCServer
from kserve.protocol.grpc.servicer import InferenceServicer

from predictors.contract.codec import grpc_error
from predictors.errors import Overloaded
from predictors.memory import ByteBudget
from predictors.serving.tls import ServedTLS
from predictors.tracing.spans import server_span

# gRPC's own defaults are 120 s for a handshake and for ever for a connection without calls, dead
# peers included. A client whose idle connection is closed opens another by itself.
_CONNECTIONS: Final = (
    ("grpc.server_handshake_timeout_ms", 20_000),
    ("grpc.max_connection_idle_ms", 300_000),
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.max_concurrent_streams", 1024),  # of one connection; more wait with their client
    ("grpc.max_metadata_size", 16_384),  # from here on refused by chance, above 64 KiB always
    ("grpc.absolute_max_metadata_size", 65_536),
)


METHOD: Final = "inference.GRPCInferenceService/ModelInfer"


class BudgetedServicer(InferenceServicer):
    """Counts the bytes of each request among those that calls in flight hold."""

    def __init__(self, data_plane: Any, repository: Any, budget: ByteBudget) -> None:
        super().__init__(data_plane, repository)
        self._budget = budget

    async def ModelInfer(self, request: Any, context: Any) -> Any:
        """Raises UNAVAILABLE where they are too many."""
        headers = {name: value for name, value in context.invocation_metadata() or ()}
        about = {"rpc.system.name": "grpc", "rpc.method": METHOD}
        with server_span(METHOD, headers, about), self._budget.call() as hold:
            try:
                hold.take(request.ByteSize())
            except Overloaded as error:
                raise grpc_error(error) from error
            return await super().ModelInfer(request, context)


class BoundedGRPCServer(GRPCServer):
    """As kserve's, whose options of messages it keeps; it logs no line for each call. It listens on
    `host`, or on all addresses where that is empty."""

    def __init__(
        self,
        host: str,
        port: int,
        data_plane: Any,
        repository: Any,
        budget: ByteBudget,
        tls: ServedTLS | None = None,
    ) -> None:
        super().__init__(port, data_plane, repository, kwargs=vars(model_server.args))
        self._budget = budget
        self._tls = tls
        self._host = f"[{host}]" if ":" in host else host or "[::]"

    async def start(self, max_workers: int) -> None:
        sizes = ("grpc_max_send_message_length", "grpc_max_receive_message_length")
        self._server = aio.server(
            futures.ThreadPoolExecutor(max_workers=max_workers),
            interceptors=(ExceptionToStatusInterceptor(),),
            options=[
                *((f"grpc.{name.removeprefix('grpc_')}", self._kwargs[name]) for name in sizes),
                *_CONNECTIONS,
            ],
        )
        servicer = BudgetedServicer(
            self._data_plane, self._model_repository_extension, self._budget
        )
        add_GRPCInferenceServiceServicer_to_server(servicer, self._server)
        address = f"{self._host}:{self._port}"
        if self._tls is None:
            self._server.add_insecure_port(address)
        else:
            self._server.add_secure_port(address, self._tls.credentials())
        await self._server.start()
        await self._server.wait_for_termination()

    async def stop_within(self, seconds: float) -> None:
        """Takes no new call; those under way have `seconds`, then they are cancelled."""
        if self._server:
            await self._server.stop(grace=seconds)
