"""What HEM makes of its predictor, where a server in front of it would show less."""

import asyncio

import orjson
import pytest

from predictors.contract import text_request
from predictors.errors import Cause, NotReady
from tests.conftest import free_port
from tests.listening import listening
from tests.predictors.engines.answering import answering
from tests.predictors.upstream.failing import failing
from tests.transformers_hem.scripted_predictor import ScriptedPredictor
from transformers_hem.serving.predictor_client import PredictorClient, PredictorRefused

BODY = orjson.dumps(text_request(["logprob -1"]))


async def test_a_predictor_that_is_back_is_asked_at_once() -> None:
    port = free_port()
    client = PredictorClient(f"http://127.0.0.1:{port}", "m", 5.0)
    for _ in range(20):
        with failing(Cause.UNREACHABLE, "can't be reached: Connection refused"):
            await client.infer(BODY, {})
    async with listening(_answer, port=port):
        assert await client.infer(BODY, {}) == {"outputs": []}
        await client.close()


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b'HTTP/1.1 200 X\r\ncontent-length: 14\r\n\r\n{"outputs":[]}')
    await writer.drain()


@pytest.mark.parametrize(
    ("content", "body"),
    [
        (b'{"error": {"code": 7}, "more": 1}', {"error": {"code": 7}, "more": 1}),
        (b'["error"]', {"error": '["error"]'}),
        (b"Oops", {"error": "Oops"}),
        (b"", {"error": "the predictor answered 503"}),
    ],
)
async def test_a_refusal_always_has_an_error(content: bytes, body: object) -> None:
    async with answering(content, status=503) as url:
        client = PredictorClient(url, "m", 5.0)
        with pytest.raises(PredictorRefused) as raised:
            await client.infer(BODY, {})
        await client.close()
    assert (raised.value.status, orjson.loads(raised.value.body)) == (503, body)


async def test_credentials_of_the_caller_go_on_to_its_own_predictor() -> None:
    with ScriptedPredictor() as predictor:
        client = PredictorClient(f"http://{predictor.host}", "m", 5.0)
        await client.infer(BODY, {"Authorization": "Bearer k", "x-request-id": "7", "cookie": "c"})
        predictor.ready = False
        with pytest.raises(NotReady, match="/v2/models/m/ready answered 503"):
            await client.require_ready()
        await client.close()
        headers, _ = predictor.requests[0]
    assert (headers["authorization"], headers["x-request-id"]) == ("Bearer k", "7")
    assert "cookie" not in headers
