"""What an error of ours is over gRPC: kserve's interceptor passes a GrpcException's status on."""

from typing import Final

from grpc_interceptor import exceptions as grpc_exceptions

from predictors.errors import HEMError

STATUS: Final[dict[int, type[grpc_exceptions.GrpcException]]] = {
    400: grpc_exceptions.InvalidArgument,
    404: grpc_exceptions.NotFound,
    413: grpc_exceptions.ResourceExhausted,
    502: grpc_exceptions.Unavailable,
    503: grpc_exceptions.Unavailable,
    504: grpc_exceptions.DeadlineExceeded,
}


def to_grpc(error: HEMError) -> grpc_exceptions.GrpcException:
    return STATUS.get(error.status, grpc_exceptions.Internal)(details=str(error))
