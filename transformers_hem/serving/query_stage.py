"""HEM as a graph's `mine` step, which sees the query."""

from typing import Any

from grpc_interceptor.exceptions import Unimplemented
from kserve import InferRequest

from predictors.contract import Sampling, parse_prefer, parse_sampling
from predictors.contract.codec import request_json, request_parameters, request_texts, without
from transformers_hem.algorithms.base import Batch
from transformers_hem.serving.decision import DECIDED
from transformers_hem.serving.transformer import Headers, HEMTransformer


class MiningThenInference(HEMTransformer):
    """A graph's `mine` step: answers the V2 request itself, annotated with the decision."""

    async def close(self) -> None:
        await self._close_all()

    def get_output_types(self) -> list[dict[str, Any]]:
        """Empty: the answer is the request."""
        return []

    async def predict(
        self,
        payload: InferRequest,
        headers: Headers | None = None,
        response_headers: dict[str, str] | None = None,
    ) -> bytes:
        if payload.from_grpc:
            raise Unimplemented(
                details="mining-then-inference answers the annotated request, which gRPC can't "
                f"carry; POST it to /v2/models/{self.name}/infer over REST"
            )
        texts = request_texts(payload)
        parameters = request_parameters(payload)
        parse_sampling(parameters, Sampling())
        prefer = parse_prefer(parameters)
        decider = self.decider
        leaving = self._leaving(decider, payload, texts, parameters, headers)
        client = self._client(headers)
        batch = Batch(len(texts), tuple(texts), leaving=leaving, client=client)
        decision = await self._mine(decider, batch, prefer, payload, headers)
        return request_json(payload, {**without(parameters, DECIDED), **decision.parameters()})
