"""A stand-in for Triton over gRPC, whose answers a test scripts."""

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc

from predictors.engines.triton.client import messages

# What a stream answers to one request, response by response.
Script = Callable[[Any, grpc.aio.ServicerContext], AsyncIterator[Any]]

TEXT_MODEL = {
    "inputs": [{"name": "text_input", "datatype": "BYTES", "shape": [-1]}],
    "outputs": [{"name": "text_output", "datatype": "BYTES", "shape": [-1]}],
}


class Answers(grpc.GenericRpcHandler):
    """A service that answers each method by its name; methods that it has no answer for abort. The
    answer of a stream is one response, or a Script."""

    def __init__(self, code: grpc.StatusCode, message: str, answers: dict[str, Any]) -> None:
        self._code, self._message, self._answers = code, message, answers

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        method = details.method.rpartition("/")[2]
        answer = self._answers.get(method)

        async def one(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
            if answer is None:
                await context.abort(self._code, self._message)
            return answer.SerializeToString()

        async def several(requests: Any, context: grpc.aio.ServicerContext) -> AsyncIterator[bytes]:
            async for request in requests:
                if not callable(answer):
                    yield await one(request, context)
                    continue
                asked = messages.ModelInferRequest.FromString(request)
                async for response in answer(asked, context):
                    yield response.SerializeToString()

        if method == "ModelStreamInfer":
            return grpc.stream_stream_rpc_method_handler(several)
        return grpc.unary_unary_rpc_method_handler(one)


@contextlib.asynccontextmanager
async def serving(
    code: grpc.StatusCode = grpc.StatusCode.UNIMPLEMENTED, message: str = "", **answers: Any
) -> AsyncIterator[str]:
    """The address of such a service."""
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((Answers(code, message, answers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield f"127.0.0.1:{port}"
    await server.stop(None)


def streaming_model(**parameters: str) -> dict[str, Any]:
    """What a stand-in answers of a decoupled model of text with such a configuration."""
    tensor = messages.ModelMetadataResponse.TensorMetadata
    return {
        "ModelReady": messages.ModelReadyResponse(ready=True),
        "ModelMetadata": messages.ModelMetadataResponse(
            inputs=[tensor(**each) for each in TEXT_MODEL["inputs"]],
            outputs=[tensor(**each) for each in TEXT_MODEL["outputs"]],
        ),
        "ModelConfig": messages.ModelConfigResponse(
            config={
                "model_transaction_policy": {"decoupled": True},
                "parameters": {name: {"string_value": v} for name, v in parameters.items()},
            }
        ),
    }


def part(text: str | bytes | None, *, final: bool = False, **outputs: bytes) -> Any:
    """One response; None has no outputs at all, as the one that only ends a stream."""
    values = outputs if text is None else {"text_output": _encoded(text), **outputs}
    response = messages.ModelInferResponse(model_name="m")
    for name, value in values.items():
        response.outputs.add(name=name, datatype="BYTES", shape=[1])
        response.raw_output_contents.append(len(value).to_bytes(4, "little") + value)
    response.parameters["triton_final_response"].bool_param = final
    return messages.ModelStreamInferResponse(infer_response=response)


FINAL = part(None, final=True)


def error(message: str) -> Any:
    return messages.ModelStreamInferResponse(error_message=message)


def saying(*responses: Any) -> Script:
    """These, and the end of the stream."""

    async def script(request: Any, context: grpc.aio.ServicerContext) -> AsyncIterator[Any]:
        for response in responses:
            yield response

    return script


def _encoded(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text
