"""A far server that fails whom it must not, that comes back with another model, or tells little."""

from typing import Any

import httpx
import pytest

from predictors.contract import Answer
from predictors.engines.speculative.settings import SpeculativeSettings
from predictors.errors import ConfigurationError, UpstreamError
from predictors.settings import read_settings
from predictors.upstream.ledger.decision import decided
from tests.conftest import ServerProcess, StartServer
from tests.predictors.engines.speculative.breaking import (
    BreakingLink,
    RollingLink,
    SwitchingLink,
    UsagelessLink,
)
from tests.predictors.engines.speculative.test_between_servers import query, questions, started

QUESTION = questions(1)[0]
FORCED = {"hem_route": "cloud", "hem_reason": "prefer"}
IN_TURNS: dict[str, Any] = {"draft_tokens": 6, "rounds_in_flight": 1}


def server(start_server: StartServer, model: str) -> ServerProcess:
    given = ["--model_name", "m", "--model_dir", f"embedded:{model}", "--verify_slots", "8"]
    return start_server("predictors", *given, ready="/v2/models/m/ready")


@pytest.fixture(scope="module")
def cloud(start_server: StartServer) -> ServerProcess:
    return server(start_server, "long-cloud")


@pytest.fixture(scope="module")
def other(start_server: StartServer) -> ServerProcess:
    """Its model numbers tokens alike."""
    return server(start_server, "long-edge")


async def alone(far: ServerProcess, *texts: str) -> list[str]:
    """What its model says to them."""
    async with started(far.url) as engine:
        return [each.text for each in await engine.generate([query(text) for text in texts])]


def way(told: Answer) -> str:
    assert told.speculation is not None
    return told.speculation.route


@pytest.mark.parametrize("calls", [0, 3])
@pytest.mark.parametrize("policy", ["always", "latency"])
async def test_who_forces_the_cloud_gets_an_error_where_others_get_the_small_models_words(
    cloud: ServerProcess, calls: int, policy: str
) -> None:
    given = {"on_far_failure": "finish", "policy": policy, **IN_TURNS}
    async with BreakingLink(cloud.port, calls) as url, started(url, **given) as engine:
        with decided(FORCED), pytest.raises(UpstreamError) as error:
            await engine.generate([query(QUESTION)])
        assert error.value.status in (502, 503)
        with decided(FORCED), pytest.raises(UpstreamError):
            _ = [delta async for delta in engine.stream(query(QUESTION))]
        with decided({**FORCED, "hem_reason": "strategy"}):
            (told,) = await engine.generate([query(QUESTION)])
    assert way(told) == "edge"


async def test_where_the_far_server_answers_alone_it_is_the_same(cloud: ServerProcess) -> None:
    """So many tokens are not checked."""
    async with (
        BreakingLink(cloud.port, 99, events=9) as url,
        started(url, on_far_failure="finish") as engine,
    ):
        with decided(FORCED), pytest.raises(UpstreamError):
            _ = [delta async for delta in engine.stream(query(QUESTION, max_tokens=1020))]


def test_who_asks_the_predictor_itself_is_heard_too(
    start_server: StartServer, cloud: ServerProcess
) -> None:
    given = ["--model_name", "e", "--engine", "speculative", "--model_dir", "embedded:long-edge"]
    given += ["--url", "http://127.0.0.1:9", "--on_break", "finish", "--retries", "0"]
    edge = start_server("predictors", *given, ready="/v2/models/e/ready")
    tensor = {"name": "text_input", "shape": [1], "datatype": "BYTES", "data": [QUESTION]}

    def asked(**parameters: object) -> httpx.Response:
        body = {"inputs": [tensor], "parameters": {"max_tokens": 8, **parameters}}
        return httpx.post(f"{edge.url}/v2/models/e/infer", json=body, timeout=60)

    assert asked().json()["parameters"]["speculation"] == "edge"
    assert asked(hem_prefer="edge").json()["parameters"]["speculation"] == "edge"
    forced = asked(hem_prefer="cloud")
    assert forced.status_code in (502, 503) and "127.0.0.1:9" in forced.json()["error"]
    assert asked(hem_prefer="x").status_code == 400


async def test_a_model_that_comes_in_the_middle_answers_from_the_beginning(
    cloud: ServerProcess, other: ServerProcess
) -> None:
    asked = questions(12)
    both = [await alone(far, *asked) for far in (cloud, other)]
    text, after = next(
        (text, small) for text, large, small in zip(asked, *both, strict=True) if large != small
    )
    async with (
        SwitchingLink(cloud.port, other.port, 3) as url,
        started(url, retries=2, **IN_TURNS) as engine,
    ):
        (told,) = await engine.generate([query(text)])
        (later,) = await engine.generate([query(text)])
    assert (told.text, way(told)) == (after, "speculative")
    assert (later.text, way(later)) == (after, "speculative")


async def test_a_stream_that_has_begun_by_then_ends_with_an_error_that_says_so(
    cloud: ServerProcess, other: ServerProcess
) -> None:
    (after,) = await alone(other, QUESTION)
    async with (
        SwitchingLink(cloud.port, other.port, 3) as url,
        started(url, retries=2, **IN_TURNS) as engine,
    ):
        parts: list[str] = []
        with pytest.raises(UpstreamError, match="not the one that this answer began with") as error:
            async for delta in engine.stream(query(QUESTION)):
                parts.append(delta.text)
        again = [delta async for delta in engine.stream(query(QUESTION))]
    assert (error.value.status, error.value.answered) == (502, 412)
    assert "".join(parts) and "ask again" in str(error.value)
    assert "".join(delta.text for delta in again) == after


async def test_or_is_ended_by_the_small_model_which_says_why(
    cloud: ServerProcess, other: ServerProcess
) -> None:
    async with (
        SwitchingLink(cloud.port, other.port, 3) as url,
        started(url, retries=2, on_far_failure="finish", **IN_TURNS) as engine,
    ):
        *_, last = [delta async for delta in engine.stream(query(QUESTION))]
    assert last.answer is not None and last.answer.speculation is not None
    told = last.answer.speculation
    assert (told.route, told.continues) == ("edge", "cloud")
    assert "not the one that this answer began with" in told.reason


@pytest.mark.parametrize("streams", [False, True])
async def test_while_servers_are_replaced_one_by_one_the_far_server_answers_alone(
    cloud: ServerProcess, other: ServerProcess, streams: bool
) -> None:
    """It has not the model that it said it has, twice."""
    (after,) = await alone(other, QUESTION)
    link = RollingLink(cloud.port, other.port)
    async with link as url, started(url, policy="latency", **IN_TURNS) as engine:
        if streams:
            *_, last = [delta async for delta in engine.stream(query(QUESTION))]
            told = last.answer
        else:
            (told,) = await engine.generate([query(QUESTION)])
    assert told is not None and told.speculation is not None
    assert (told.text, way(told)) == (after, "cloud")
    assert "another model came" in told.speculation.reason
    assert link.checks > 0


async def test_who_always_drafts_gets_an_error_then(
    cloud: ServerProcess, other: ServerProcess
) -> None:
    async with RollingLink(cloud.port, other.port) as url, started(url, **IN_TURNS) as engine:
        with pytest.raises(UpstreamError) as error:
            await engine.generate([query(QUESTION)])
    assert (error.value.status, error.value.answered) == (502, 412)


async def test_stop_strings_of_the_far_server_are_none_of_the_drafted_answers(
    start_server: StartServer, cloud: ServerProcess
) -> None:
    """Nor of those that it gives alone."""
    (whole,) = await alone(cloud, QUESTION)
    given = ["--model_name", "m", "--model_dir", "embedded:long-cloud", "--verify_slots", "8"]
    given += ["--stop", whole[8:10]]
    stopping = start_server("predictors", *given, ready="/v2/models/m/ready")
    async with started(stopping.url, policy="latency") as engine:
        told = await engine.generate([query(QUESTION)] * 8)
    assert {(each.text, way(each)) for each in told} == {(whole, "speculative"), (whole, "cloud")}


async def test_a_server_that_tells_no_usage_is_compared_by_what_is_counted_here(
    cloud: ServerProcess,
) -> None:
    """Else nothing would be known of it, and it would be tried for ever."""
    async with (
        UsagelessLink(cloud.port) as url,
        started(url, policy="latency") as engine,
    ):
        asked = [query(text, max_tokens=6) for text in questions(12)]
        for _ in range(3):
            told = await engine.generate(asked)
        deltas = [delta async for delta in engine.stream(asked[0])]
    ends = [*told, *(delta.answer for delta in deltas if delta.answer)]
    assert "measured" not in {each.speculation.reason for each in ends[-2:] if each.speculation}


@pytest.mark.parametrize("name", ["on_break", "on_far_failure"])
def test_what_the_small_model_may_do_has_an_older_name(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"PREDICTOR_{name.upper()}", "finish")
    settings = read_settings(SpeculativeSettings, {"url": "http://a", "model_dir": "x"})
    assert (settings.on_far_failure, settings.on_break) == ("finish", "finish")


def test_both_names_may_not_say_different_things() -> None:
    options = {"on_far_failure": "finish", "on_break": "error"}
    with pytest.raises(ConfigurationError, match="--on_break 'error': is the older name"):
        read_settings(SpeculativeSettings, {"url": "http://a", "model_dir": "x", **options})
