"""The ledger beside all bytes that a proxy between uplink and cloud has seen."""

import asyncio
import hashlib
import json
import resource
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import grpc
import pytest
from kserve.protocol.grpc import grpc_predict_v2_pb2 as v2

from predictors.contract import Query, Sampling
from predictors.contract.tensors import TensorRequest, parse_tensor
from predictors.engines.kserve import KServeEngine, KServeSettings
from predictors.engines.openai_api import OpenAIAPIEngine, OpenAIAPISettings
from predictors.engines.triton.client import TritonGRPC, messages
from predictors.errors import Cause, HEMError, Unrecorded
from predictors.upstream.client import forwarded_headers
from predictors.upstream.ledger.decision import decided, decided_headers, from_headers
from predictors.upstream.ledger.verify import verify
from predictors.upstream.settings import Limits
from predictors.upstream.v2 import V2Model
from tests.predictors.engines.answering import answering
from tests.predictors.upstream.failing import failing
from tests.predictors.upstream.far_side import FarSide
from tests.predictors.upstream.ledger.reading import lines, outcomes
from tests.predictors.upstream.recorder import grpc_messages, recorded

SECRET = "my number is 4111 1111 1111 1111"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "egress.jsonl"


@pytest.fixture
def far() -> Iterator[FarSide]:
    with FarSide() as side:
        yield side


@asynccontextmanager
async def uplink(url: str, path: Path, **options: Any) -> AsyncIterator[KServeEngine]:
    given = {"upstream_model": "m", "timeout": 5, "ledger": str(path), **options}
    engine = KServeEngine(KServeSettings(url=url, **given))
    await engine.start()
    try:
        yield engine
    finally:
        await engine.close()


@asynccontextmanager
async def api(url: str, path: Path, **options: Any) -> AsyncIterator[OpenAIAPIEngine]:
    given = {"upstream_model": "far", "timeout": 5, "ledger": str(path), **options}
    engine = OpenAIAPIEngine(OpenAIAPISettings(url=f"{url}/v1", **given))
    await engine.start()
    try:
        yield engine
    finally:
        await engine.close()


@asynccontextmanager
async def serving_grpc(handlers: dict[str, Any]) -> AsyncIterator[int]:
    """The port of a server with these methods of V2."""
    server = grpc.aio.server()
    service = grpc.method_handlers_generic_handler("inference.GRPCInferenceService", handlers)
    server.add_generic_rpc_handlers((service,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield port
    finally:
        await server.stop(None)


async def ask(engine: Any, text: str) -> None:
    with suppress(HEMError):
        await engine.generate([Query(text)])


async def stream(engine: Any, text: str) -> None:
    with suppress(HEMError):
        async with aclosing(engine.stream(Query(text))) as parts:
            async for _ in parts:
                pass


def intended(path: Path) -> list[tuple[str, int, str | None]]:
    """As Recorder.bodies."""
    return sorted((row["method"], row["bytes"], row.get("sha256")) for row in lines(path, "intent"))


KINDS = {"uplink": uplink, "api": api}


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("call", [ask, stream])
async def test_the_ledger_agrees_with_the_wire_line_by_line(
    kind: str, call: Any, far: FarSide, path: Path
) -> None:
    """Good answers, retries, refusals, late ones, ones that drop, are cut or no HTTP."""
    queries = [
        *(f"{SECRET} {number}" for number in range(5)),
        *("storm 2 0.01", "status 400", "status 500", "status 401"),
        *("drop", "cut", "noise", "html", "late 3", "grüß dich"),
    ]
    made: AbstractAsyncContextManager[Any]
    async with recorded(far.port) as recorder:
        made = KINDS[kind](recorder.url, path, timeout=0.7, breaker_failures=0)
        async with made as engine:
            for query in queries:
                await call(engine, query)
        assert recorder.bodies() == intended(path)
        assert len(recorder.bodies()) > len(queries)
    found = verify(path)
    assert found.open == 0
    assert SECRET not in path.read_text()
    for number, outcome in outcomes(path).items():
        assert number < outcome["n"]
        assert outcome.get("status") or outcome.get("cause")


async def test_each_attempt_of_a_call_names_the_first(far: FarSide, path: Path) -> None:
    async with uplink(far.url, path) as engine:
        with forwarded_headers({"x-request-id": "r-1"}):
            await engine.generate([Query("storm 2 0.01")])
    tries = [row for row in lines(path, "intent") if not row.get("probe")]
    ends = [outcomes(path)[row["n"]] for row in tries]
    assert [row.get("again") for row in tries] == [None, tries[0]["n"], tries[0]["n"]]
    assert [row["request_id"] for row in tries] == ["r-1"] * 3
    assert [end.get("status") for end in ends] == [429, 429, 200]
    assert [end.get("cause") for end in ends] == ["throttled", "throttled", None]
    assert len({row["sha256"] for row in tries}) == 1
    assert all(row["to"] == f"{far.url}/v2/models/m/infer" for row in tries)


async def test_a_breaker_that_is_open_leaves_no_line(far: FarSide, path: Path) -> None:
    async with recorded(far.port) as recorder:
        async with uplink(recorder.url, path, breaker_failures=2, retries=0) as engine:
            for _ in range(6):
                await ask(engine, "status 503")
        posts = [body for body in recorder.bodies() if body[0] == "POST"]
        assert len(posts) == 2
        assert recorder.bodies() == intended(path)


async def test_a_caller_who_leaves_and_a_deadline_are_outcomes(far: FarSide, path: Path) -> None:
    async with uplink(far.url, path, timeout=0.3, retries=0) as engine:
        with failing(Cause.TIMEOUT):
            await engine.generate([Query("late 2")])
        task = asyncio.create_task(engine.generate([Query("late 3")]))
        while len([r for r in lines(path, "intent") if not r.get("probe")]) < 2:
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.wait([task])
    asked = [row["n"] for row in lines(path, "intent") if not row.get("probe")]
    assert [outcomes(path)[number]["cause"] for number in asked] == ["cancelled", "cancelled"]


async def test_the_line_says_why_it_left_and_never_a_callers_words(
    far: FarSide, path: Path
) -> None:
    mined = {"hem_route": "cloud", "hem_reason": "algorithm", "hem_score": 0.75}
    mined["hem_strategy"] = "package.module:Mine"
    verdicts = {"hem_guards": "privacy@3=clear budget@1=clear"}
    async with uplink(far.url, path) as engine:
        with decided({**mined, **verdicts, "hem_other": SECRET}):
            await ask(engine, "a")
        with decided({"hem_reason": SECRET, "hem_algorithm": "x" * 65}):
            await ask(engine, "b")
    first, second = [row for row in lines(path, "intent") if not row.get("probe")]
    assert first["decision"] == {
        **{"route": "cloud", "reason": "algorithm", "score": 0.75},
        "strategy": "package.module:Mine",
        "guards": "privacy@3=clear budget@1=clear",
    }
    assert "decision" not in second


def test_a_decision_passes_from_server_to_server_in_headers() -> None:
    mined = {"hem_route": "cloud", "hem_reason": "strategy", "hem_strategy": "refine"}
    with decided(mined):
        headers = decided_headers()
    assert headers["x-hem-strategy"] == "refine"
    assert from_headers(headers) == mined


async def test_no_key_is_in_the_ledger(far: FarSide, path: Path) -> None:
    async with api(far.url, path, api_key="sk-very-secret") as engine:
        await ask(engine, "status 500")
    engine = OpenAIAPIEngine(
        OpenAIAPISettings(url=f"{far.url}/v1?key=sk-url-secret", ledger=str(path), retries=0)
    )
    await engine.start()
    await ask(engine, "a")
    await engine.close()
    assert "secret" not in path.read_text()
    assert len(lines(path, "intent")) >= 3


@pytest.mark.parametrize(("setting", "said"), [("false", False), ("omit", None)])
async def test_the_server_is_told_not_to_store_and_the_ledger_shows_it(
    setting: str, said: bool | None, far: FarSide, path: Path
) -> None:
    async with api(far.url, path, store=setting) as engine:
        await ask(engine, "a")
        await engine.generate([Query("raw", raw=True)])
    chat, completion = [row for row in lines(path, "intent") if not row.get("probe")]
    bodies = [request.body for request in far.requests if request.body]
    assert bodies[0].get("store") is said and chat.get("store") is said
    assert "store" not in bodies[1] and "store" not in completion


async def test_a_stream_of_triton_is_one_attempt(path: Path) -> None:
    async def stream(requests: Any, context: Any) -> AsyncIterator[Any]:
        async for request in requests:
            answer = messages.ModelStreamInferResponse()
            answer.infer_response.parameters["triton_final_response"].bool_param = True
            assert len(request) > 0
            yield answer

    handlers = {
        "ModelStreamInfer": grpc.stream_stream_rpc_method_handler(
            stream, None, lambda answer: answer.SerializeToString()
        )
    }
    async with serving_grpc(handlers) as port, recorded(port) as recorder:
        limits = Limits(ledger=str(path))
        client = TritonGRPC(V2Model(recorder.url, "m"), limits)
        inputs = {"text_input": parse_tensor("text_input", "BYTES", [1], ["hello"])}

        async def read(responses: AsyncIterator[Any]) -> int:
            return len([response async for response in responses])

        assert await client.stream(TensorRequest(inputs, {}), read) == 0
        await client.close()
        (message,) = grpc_messages(bytes(recorder.sent[0]))
    (row,) = lines(path, "intent")
    assert (row["bytes"], row["sha256"]) == (len(message), hashlib.sha256(message).hexdigest())
    end = outcomes(path)[row["n"]]
    assert end["status"] == "OK" and end["received"] > 0


async def test_grpc_messages_are_those_on_the_wire(path: Path) -> None:
    asked = 0

    async def infer(request: v2.ModelInferRequest, context: Any) -> v2.ModelInferResponse:
        nonlocal asked
        asked += 1
        if asked == 1:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "later")
        answer = v2.ModelInferResponse(model_name="m")
        answer.outputs.add(name="text_output", datatype="BYTES", shape=[1])
        answer.raw_output_contents.append(b"\x02\x00\x00\x00ok")
        return answer

    handlers = {
        "ModelInfer": grpc.unary_unary_rpc_method_handler(
            infer, v2.ModelInferRequest.FromString, v2.ModelInferResponse.SerializeToString
        )
    }
    sampling = Sampling(temperature=0.0, seed=7, max_tokens=5, stop=("x",))
    async with serving_grpc(handlers) as port, recorded(port) as recorder:
        async with uplink(recorder.url, path, transport="grpc") as engine:
            for text in ("a", "b" * 40_000):
                await engine.generate([Query(text, sampling)])
        sent = [m for record in recorder.sent for m in grpc_messages(bytes(record))]
    calls = lines(path, "intent")
    assert [(r["bytes"], r["sha256"]) for r in calls] == [
        (len(message), hashlib.sha256(message).hexdigest()) for message in sent
    ]
    statuses = [outcomes(path)[row["n"]]["status"] for row in calls]
    assert statuses == ["UNAVAILABLE", "OK", "OK"]


async def test_a_full_disk_stops_what_leaves_and_answers_say_why(far: FarSide, path: Path) -> None:
    """A limit of the size of files stands for the full disk: to write fails alike."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    async with recorded(far.port) as recorder, uplink(recorder.url, path) as engine:
        await engine.generate([Query("a")])
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 400, hard))
        try:
            refused = 0
            for _ in range(10):
                try:
                    await engine.generate([Query("b")])
                except Unrecorded as error:
                    refused += 1
                    assert error.status == 503
                    assert "can't be written" in str(error) and "nothing was sent" in str(error)
            assert refused >= 9
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        await engine.generate([Query("c")])  # no breaker has opened
        assert recorder.bodies() == intended(path)
    assert verify(path).open == 0


async def test_a_disk_that_fills_up_while_a_call_is_under_way_keeps_its_outcome(
    far: FarSide, path: Path
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    async with uplink(far.url, path) as engine:
        asked = asyncio.create_task(engine.generate([Query("late 0.3")]))
        while len([r for r in lines(path, "intent") if not r.get("probe")]) < 1:
            await asyncio.sleep(0.01)
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size, hard))
        try:
            (answer,) = await asked
            assert answer.text == "LATE 0.3"
            with failing(Cause.UNRECORDED):
                await engine.generate([Query("b")])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert verify(path).open == 0


async def test_tokens_of_an_answer_are_in_its_outcome(path: Path) -> None:
    usage = {"prompt_tokens": 7, "completion_tokens": 3}
    choice = {"message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}
    body = {"model": "big", "choices": [choice], "usage": usage}
    async with answering(json.dumps(body).encode()) as url, api(url, path) as engine:
        await engine.generate([Query("a")])
    (asked,) = [row["n"] for row in lines(path, "intent") if not row.get("probe")]
    outcome = outcomes(path)[asked]
    told = {name: outcome[name] for name in ("model", "prompt_tokens", "completion_tokens")}
    assert told == {"model": "big", **usage}
