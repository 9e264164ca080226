"""The least that a kserve V2 model can do: the yardstick of the mine step."""

import argparse
import logging

import kserve
from kserve import InferOutput, InferRequest, InferResponse, model_server


class TrivialModel(kserve.Model):
    def __init__(self) -> None:
        super().__init__("m")
        self.ready = True

    async def predict(
        self, payload: InferRequest, headers: object = None, response_headers: object = None
    ) -> InferResponse:
        output = InferOutput(name="text_output", shape=[1], datatype="BYTES", data=["x"])
        return InferResponse(response_id=payload.id, model_name="m", infer_outputs=[output])


if __name__ == "__main__":
    argparse.ArgumentParser(parents=[model_server.parser]).parse_args()
    server = kserve.ModelServer()
    for name in ("uvicorn.access", "kserve.trace"):
        logging.getLogger(name).setLevel(logging.WARNING)
    server.start([TrivialModel()])
