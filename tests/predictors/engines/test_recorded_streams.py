"""Recorded answers as streams: whole characters, at the recorded speed or at a given one."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from openai import OpenAI

from predictors.contract import Delta, Query
from predictors.engines.recorded import RecordedEngine, engine as engine_module, pace as pace_module
from predictors.engines.recorded.engine import RecordedSettings
from predictors.errors import ConfigurationError, EngineError
from predictors.settings import read_settings
from tests.conftest import ServerProcess, StartServer

TEXT = "Grüße 👩‍👩‍👧 an 你好, und 12 + 7 = 19."
TIMES = {"time_to_first_token": 0.5, "inter_token_latency": 0.25}
NEVER = 3600.0  # seconds: a test that waits for them ends by its own time limit


def written(folder: Path, **row: Any) -> str:
    path = folder / "rows.jsonl"
    path.write_text(json.dumps({"query": "q", "text": TEXT, **row}) + "\n")
    return str(path)


async def started(folder: Path, speed: float | None = None, **row: Any) -> RecordedEngine:
    settings = RecordedSettings(recordings=written(folder, **row), tokens_per_second=speed)
    engine = RecordedEngine(settings)
    await engine.start()
    return engine


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """Time that goes on only where the engine waits."""
    clock = SimpleNamespace(now=100.0)

    async def sleep(seconds: float) -> None:
        clock.now += seconds

    time = SimpleNamespace(perf_counter=lambda: clock.now)
    monkeypatch.setattr(engine_module, "time", time)
    monkeypatch.setattr(pace_module, "time", time)
    monkeypatch.setattr(pace_module, "asyncio", SimpleNamespace(sleep=sleep))
    yield clock


async def timed(engine: RecordedEngine, clock: SimpleNamespace) -> list[tuple[float, Delta]]:
    """Seconds since the beginning, and what came then."""
    begin = clock.now
    return [(clock.now - begin, delta) async for delta in engine.stream(Query("q"))]


@pytest.mark.parametrize("tokens", [None, 1, 2, 7, len(TEXT), 1000])
async def test_parts_are_the_text_in_a_row(tmp_path: Path, tokens: int | None) -> None:
    engine = await started(tmp_path, **({} if tokens is None else {"completion_tokens": tokens}))
    *parts, last = [delta async for delta in engine.stream(Query("q"))]
    assert "".join(part.text for part in parts) + last.text == TEXT
    assert len(parts) == min(tokens or len(TEXT.split()), len(TEXT))
    assert all(part.text for part in parts)
    assert last.answer is not None
    assert last.answer.text == TEXT
    assert last.answer.cached
    assert last.finish_reason == ("length" if tokens == 1000 else "stop")


@pytest.mark.parametrize(
    ("row", "speed", "seconds"),
    [
        (TIMES, None, [0.5, 0.75, 1.0, 1.25, 1.25]),
        ({"time_to_first_token": 0.5}, None, [0.5] * 5),
        ({}, None, [0.0] * 5),
        ({}, 8.0, [0.125, 0.25, 0.375, 0.5, 0.5]),
        (TIMES, 8.0, [0.125, 0.25, 0.375, 0.5, 0.5]),
    ],
)
async def test_it_comes_at_the_recorded_speed_or_at_the_given_one(
    tmp_path: Path,
    clock: SimpleNamespace,
    row: dict[str, float],
    speed: float | None,
    seconds: list[float],
) -> None:
    engine = await started(tmp_path, speed, completion_tokens=4, **row)
    came = await timed(engine, clock)
    assert [at for at, _ in came] == seconds
    answer = came[-1][1].answer
    assert answer is not None
    assert answer.time_to_first_token == seconds[0]
    assert answer.inter_token_latency == (seconds[3] - seconds[0]) / 3


async def test_tokens_without_a_character_take_their_time(
    tmp_path: Path, clock: SimpleNamespace
) -> None:
    engine = await started(tmp_path, text="2", completion_tokens=3, **TIMES)
    came = await timed(engine, clock)
    assert [(at, delta.text) for at, delta in came] == [(0.5, "2"), (1.0, "")]


async def test_an_empty_text_is_one_delta(tmp_path: Path, clock: SimpleNamespace) -> None:
    engine = await started(tmp_path, text="", **TIMES)
    ((at, last),) = await timed(engine, clock)
    assert (at, last.text, last.finish_reason) == (0.5, "", "stop")


async def test_a_slow_reader_gets_what_is_overdue_at_once(
    tmp_path: Path, clock: SimpleNamespace
) -> None:
    engine = await started(tmp_path, completion_tokens=4, **TIMES)
    begin = clock.now
    async with aclosing(engine.stream(Query("q"))) as deltas:
        await anext(deltas)
        clock.now += 10.0
        async for _ in deltas:
            assert clock.now - begin == 10.5


async def test_whole_answers_do_not_wait(tmp_path: Path) -> None:
    times = dict.fromkeys(TIMES, NEVER)
    engine = await started(tmp_path, completion_tokens=4, **times)
    (answer,) = await engine.generate([Query("q")])
    (delta,) = await engine.whole(Query("q"))
    assert answer.text == delta.text == TEXT


async def test_a_caller_who_leaves_ends_it(tmp_path: Path) -> None:
    engine = await started(tmp_path, completion_tokens=4, inter_token_latency=NEVER)
    stream = engine.stream(Query("q"))
    assert (await anext(stream)).text
    second = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    await stream.aclose()
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_what_is_not_recorded_fails_before_its_first_part(tmp_path: Path) -> None:
    engine = await started(tmp_path)
    with pytest.raises(EngineError, match="has no answer at all to 'other'"):
        await anext(engine.stream(Query("other")))


@pytest.mark.parametrize("speed", ["0", "-1", "nan", "fast"])
def test_what_is_no_speed_is_refused_at_the_start(speed: str) -> None:
    with pytest.raises(ConfigurationError, match=f"--tokens_per_second '{speed}'"):
        read_settings(RecordedSettings, {"recordings": "x", "tokens_per_second": speed})


@pytest.fixture(scope="module")
def served(start_server: StartServer, tmp_path_factory: pytest.TempPathFactory) -> ServerProcess:
    path = written(tmp_path_factory.mktemp("recorded"), completion_tokens=9, served_by="big")
    return start_server(
        *("predictors", "--model_name", "m", "--engine", "recorded", "--recordings", path),
        ready="/v2/models/m/ready",
    )


def test_an_openai_client_gets_the_parts(served: ServerProcess) -> None:
    client = OpenAI(base_url=f"{served.url}/v1", api_key="-")
    events = list(
        client.chat.completions.create(
            model="m", stream=True, messages=[{"role": "user", "content": "q"}]
        )
    )
    texts = [event.choices[0].delta.content for event in events if event.choices[0].delta.content]
    assert (len(texts), "".join(texts)) == (9, TEXT)
    assert events[-1].choices[0].finish_reason == "stop"
    assert {event.model for event in events} == {"big"}


def test_an_openai_client_gets_the_whole_answer(served: ServerProcess) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "q"}]}
    answer = httpx.post(f"{served.url}/v1/chat/completions", json=body).json()
    assert answer["choices"][0]["message"]["content"] == TEXT
    assert answer["usage"]["completion_tokens"] == 9
