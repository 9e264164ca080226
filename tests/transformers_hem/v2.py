"""V2 requests that the tests of this room send."""

from typing import Any

from kserve.protocol.grpc.grpc_predict_v2_pb2 import (
    InferParameter,
    InferTensorContents,
    ModelInferRequest,
)


def request(*texts: str, **parameters: Any) -> dict[str, Any]:
    tensor = {"name": "text_input", "shape": [len(texts)], "datatype": "BYTES", "data": [*texts]}
    return {"id": "r-1", "parameters": parameters, "inputs": [tensor]}


def grpc_request(*texts: str, **parameters: str) -> Any:
    tensor = ModelInferRequest.InferInputTensor(
        name="text_input",
        datatype="BYTES",
        shape=[len(texts)],
        contents=InferTensorContents(bytes_contents=[text.encode() for text in texts]),
    )
    told = {name: InferParameter(string_param=value) for name, value in parameters.items()}
    return ModelInferRequest(model_name="m", id="g-1", inputs=[tensor], parameters=told)
