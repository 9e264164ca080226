"""The judge: both orders, verdicts to scores, and what is no verdict."""

from pathlib import Path
from typing import Any

import pytest

from predictors.errors import Cause, ConfigurationError, HEMError
from tests.predictors.upstream.failing import failing
from tests.predictors.upstream.proxy import proxy_to
from tests.transformers_hem.labels.questions import question
from tests.transformers_hem.labels.servers import Server, says, serving
from transformers_hem.labels.asking import is_systemic
from transformers_hem.labels.scorers.base import NoScore, Pair
from transformers_hem.labels.scorers.llm_judge import LLMJudge, LLMJudgeOptions
from transformers_hem.labels.scorers.options import make_scorer

KEY = "sk-very-secret-key-0123456789"


def shown(body: dict[str, Any]) -> str:
    return str(body["messages"][-1]["content"])


async def judge(server: Server, **options: Any) -> LLMJudge:
    made = LLMJudge(LLMJudgeOptions(url=f"{server.url}/", model="j", attempts=1, **options))
    await made.start()
    return made


def by_order(edge_first: str, cloud_first: str) -> Any:
    """What the judge says, by which answer it was shown first."""

    def reply(body: dict[str, Any]) -> tuple[int, Any]:
        return says(edge_first if "[start of first answer]\nE\n" in shown(body) else cloud_first)

    return reply


@pytest.mark.parametrize(
    ("edge_first", "cloud_first", "pair"),
    [
        ("Better. Verdict: first", "Verdict: second", Pair(1, 0)),
        ("Verdict: second", "Verdict: first", Pair(0, 1)),
        ("Verdict: first", "Verdict: first", Pair(0.5, 0.5)),
        ("Verdict: tie", "**Verdict: TIE**", Pair(0.5, 0.5)),
        ("Verdict: tie", "Verdict: **second**", Pair(0.75, 0.25)),
        ("At first: Verdict: tie? No.\nVerdict: The first", "Verdict: tie", Pair(0.75, 0.25)),
    ],
)
async def test_both_orders_are_asked_and_averaged(
    edge_first: str, cloud_first: str, pair: Pair
) -> None:
    with serving(by_order(edge_first, cloud_first), "/v1") as server:
        scorer = await judge(server)
        assert await scorer.score(question("q", "the reference"), "E", "C") == pair
        await scorer.close()
    assert len(server.requests) == 2
    for _, body in server.requests:
        assert body["temperature"] == 0
        assert "[start of correct answer]\nthe reference\n" in shown(body)


@pytest.mark.parametrize("broken", ["E", "C"])
async def test_a_verdict_is_not_asked_for_again_where_the_other_order_failed(broken: str) -> None:
    said = by_order("Verdict: first", "Verdict: tie")

    def overloaded(body: dict[str, Any]) -> tuple[int, Any]:
        first = f"[start of first answer]\n{broken}\n"
        return (503, {"error": "busy"}) if first in shown(body) else said(body)

    parts: dict[str, Pair] = {}
    with serving(overloaded, "/v1") as server:
        scorer = await judge(server)
        with failing(Cause.SERVER_ERROR, "answered 503", 503):
            await scorer.resume(question(), "E", "C", parts)
        server.reply = said
        assert await scorer.resume(question(), "E", "C", parts) == Pair(0.75, 0.25)
        assert len(server.requests) == 3
        assert await scorer.resume(question(), "E", "C", parts) == Pair(0.75, 0.25)
        await scorer.close()
    assert len(server.requests) == 3
    assert parts == {"edge_first": Pair(1, 0), "cloud_first": Pair(0.5, 0.5)}


async def test_equal_answers_are_a_tie_that_costs_nothing() -> None:
    with serving(by_order("", ""), "/v1") as server:
        scorer = await judge(server)
        assert await scorer.score(question(), "same", " same\n") == Pair(0.5, 0.5)
        await scorer.close()
    assert server.requests == []


@pytest.mark.parametrize("said", ["", "Both are fine.", "Verdict: third", "Verdict:"])
async def test_no_verdict_is_a_failure_and_not_a_tie(said: str) -> None:
    with serving(by_order("Verdict: first", said), "/v1") as server:
        scorer = await judge(server)
        with pytest.raises(NoScore, match="the judge gave no verdict"):
            await scorer.score(question(), "E", "C")
        await scorer.close()


@pytest.mark.parametrize("answer", [{}, {"choices": []}, {"choices": [{"message": {}}]}, [1], b"x"])
async def test_what_is_no_completion_is_a_failure(answer: Any) -> None:
    with serving(lambda _: (200, answer), "/v1") as server:
        scorer = await judge(server)
        with pytest.raises(HEMError, match=r"is unusable|gave no verdict"):
            await scorer.score(question(), "E", "C")
        await scorer.close()


async def test_the_key_is_sent_and_never_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(body: dict[str, Any]) -> tuple[int, Any]:
        return 401, {"error": {"message": f"Incorrect API key provided: {KEY}", "code": "x"}}

    (tmp_path / "key").write_text(KEY + "\n")
    monkeypatch.setenv("MY_KEY", KEY)
    for options in ({"key_file": tmp_path / "key"}, {"key_env": "MY_KEY"}):
        with serving(refuse, "/v1") as server:
            scorer = await judge(server, **options)
            with failing(Cause.REFUSED, r"answered 401: Incorrect API key") as raised:
                await scorer.score(question(), "E", "C")
            await scorer.close()
        assert server.requests[0][0]["authorization"] == f"Bearer {KEY}"
        assert KEY[:10] not in str(raised.value)
        assert KEY not in repr(vars(scorer))


async def test_a_server_of_ones_own_needs_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with serving(by_order("Verdict: tie", "Verdict: tie"), "/v1") as server:
        scorer = await judge(server)
        await scorer.score(question(), "E", "C")
        await scorer.close()
    assert "authorization" not in server.requests[0][0]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"key_env": "NO_SUCH_KEY_IS_SET"}, "the environment variable NO_SUCH_KEY_IS_SET is not"),
        ({"key_file": Path("no/such/key")}, "key_file 'no/such/key': .*No such file"),
    ],
)
async def test_a_key_that_was_named_must_be_there(options: dict[str, Any], told: str) -> None:
    scorer = LLMJudge(LLMJudgeOptions(model="j", **options))
    with pytest.raises(ConfigurationError, match=told):
        await scorer.start()
    await scorer.close()


TIE = says("Verdict: tie")
UNSUPPORTED = "Unsupported parameter: {0!r} is not supported with this model."


def refusing(*fields: str, said: str = UNSUPPORTED, status: int = 400) -> Any:
    """Refuses one field of a request at a time, as OpenAI does."""

    def reply(body: dict[str, Any]) -> tuple[int, Any]:
        wrong = [name for name in fields if name in body]
        return (status, {"error": {"message": said.format(*wrong)}}) if wrong else TIE

    return reply


def fields_of(server: Server) -> list[set[str]]:
    return [set(body) - {"model", "messages"} for _, body in server.requests]


async def tie(server: Server, model: str = "j", **options: Any) -> None:
    scorer = LLMJudge(LLMJudgeOptions(url=server.url, model=model, attempts=1, **options))
    await scorer.start()
    for _ in range(2):
        assert await scorer.score(question(), "E", "C") == Pair(0.5, 0.5)
    await scorer.close()


@pytest.mark.parametrize("model", ["gpt-5", "gpt-5-mini", "o1", "o3-mini", "openai/o4-mini", "O3"])
async def test_a_model_that_reasons_is_known_by_its_name(model: str) -> None:
    with serving(refusing("max_tokens", "temperature"), "/v1") as server:
        await tie(server, model)
    assert fields_of(server) == [{"max_completion_tokens"}] * 4


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-5-chat-latest", "gpt-oss-20b", "octo3", "o"])
async def test_other_models_get_what_all_take(model: str) -> None:
    with serving(refusing(), "/v1") as server:
        await tie(server, model)
    assert fields_of(server) == [{"max_tokens", "temperature"}] * 4


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (UNSUPPORTED, 400),
        ("Unsupported value: {0!r} does not support 0 with this model.", 400),
        ("Unrecognized request argument supplied: {0}", 400),
        ("`{0}` is deprecated for this model.", 400),
        ("Extra inputs are not permitted: body.{0}", 422),
        ("You are not allowed to send {0} to this model", 403),
        ('Unknown name "{0}": Cannot find field.', 400),
    ],
)
async def test_a_model_that_says_what_it_lacks_is_asked_again_without(
    said: str, status: int
) -> None:
    """Once for each field; afterwards it is known."""
    with serving(refusing("max_tokens", "temperature", said=said, status=status), "/v1") as server:
        await tie(server)
    assert fields_of(server)[-2:] == [{"max_completion_tokens"}] * 2


async def test_an_older_server_gets_max_tokens() -> None:
    with serving(refusing("max_completion_tokens"), "/v1") as server:
        await tie(server, max_tokens_field="max_completion_tokens")
    assert fields_of(server)[-1] == {"max_tokens", "temperature"}


async def test_a_server_that_comes_back_with_another_model_is_asked_in_its_fields() -> None:
    with serving(refusing("max_tokens"), "/v1") as server:
        scorer = await judge(server)
        for fields in (["max_tokens"], ["max_completion_tokens"], ["max_tokens"]):
            server.reply = refusing(*fields)
            assert await scorer.score(question(), "E", "C") == Pair(0.5, 0.5)
        await scorer.close()


@pytest.mark.parametrize(
    ("reply", "asked"),
    [
        (refusing("max_tokens", said="{0} is too large: it supports at most 4096"), 2),
        (refusing("max_tokens", "max_completion_tokens", "temperature"), 4),
        (refusing("model"), 2),
    ],
)
async def test_what_nothing_stands_for_is_told(reply: Any, asked: int) -> None:
    with serving(reply, "/v1") as server:
        scorer = await judge(server)
        with pytest.raises(HEMError, match=r"max_|'model'"):
            await scorer.score(question(), "E", "C")
        await scorer.close()
    assert len(server.requests) == asked


async def test_options_say_what_is_sent() -> None:
    with serving(refusing(), "/v1") as server:
        await tie(server, temperature="none", extra_body='{"seed": 7, "max_tokens": null}')
        await tie(server, temperature="0.5", max_tokens_field="max_completion_tokens")
    assert fields_of(server) == [{"seed"}] * 4 + [{"temperature", "max_completion_tokens"}] * 4
    assert server.requests[-1][1]["temperature"] == 0.5


async def test_the_key_goes_where_azure_wants_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with serving(refusing(), "/v1") as server:
        await tie(server, api_key_header="api-key", extra_headers='{"x-team": "labels"}')
    sent = server.requests[0][0]
    assert (sent["api-key"], sent["x-team"]) == (KEY, "labels")
    assert "authorization" not in sent


@pytest.mark.filterwarnings("ignore:.*(BasicAuth|proxy_auth):DeprecationWarning")
async def test_the_judge_is_asked_through_a_proxy() -> None:
    with serving(refusing(), "/v1") as server:
        async with proxy_to(server.server_address[1]) as proxy:
            url = f"http://user:word@127.0.0.1:{proxy.port}"
            options = LLMJudgeOptions(url="http://far.example/v1", model="j", proxy=url, attempts=1)
            scorer = LLMJudge(options)
            await scorer.start()
            assert await scorer.score(question(), "E", "C") == Pair(0.5, 0.5)
            await scorer.close()
    assert len(proxy.asked) == 2


async def test_a_proxy_that_is_down_is_named() -> None:
    scorer = LLMJudge(LLMJudgeOptions(model="m", attempts=1, proxy="http://127.0.0.1:1"))
    await scorer.start()
    with failing(Cause.UNREACHABLE, r"the proxy to https://api\.openai\.com"):
        await scorer.score(question(), "E", "C")
    await scorer.close()


async def test_an_answer_that_is_too_large_is_not_read() -> None:
    with serving(lambda _: (200, b"x" * 2000), "/v1") as server:
        scorer = await judge(server, max_answer_bytes=1000)
        with failing(Cause.TOO_LARGE, "more than 1000 bytes"):
            await scorer.score(question(), "E", "C")
        await scorer.close()


@pytest.mark.parametrize("key", ["x", "a", "1", "sk", "none", "test", "EMPTY", "sk-longer-key"])
async def test_a_key_is_struck_out_and_the_rest_stays_readable(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    words = "Invalid value: 'max_tokens' must be a number, at least 1, in the latest tests, not x"
    said = f"{words}. Incorrect API key provided: {key}"
    with serving(lambda _: (400, {"error": {"message": said}}), "/v1") as server:
        scorer = await judge(server)
        with pytest.raises(HEMError) as raised:
            await scorer.score(question(), "E", "C")
        await scorer.close()
    assert str(raised.value).endswith(f"{words}. Incorrect API key provided: ***")


async def test_a_judge_that_declines_fails_one_question_and_not_the_run() -> None:
    refusal = {"choices": [{"message": {"content": None, "refusal": "I can't judge that"}}]}
    with serving(lambda _: (200, refusal), "/v1") as server:
        scorer = await judge(server)
        with failing(Cause.DECLINED, "declined to answer: I can't judge that$") as raised:
            await scorer.score(question(), "E", "C")
        await scorer.close()
    assert not is_systemic(raised.value)


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("url", "http://user:pa/ss@host/v1", "must not hold a password"),
        ("url", "http://user:pa?ss@host/v1", "must not hold a password"),
        ("url", "user:pa/ss@host", "must not hold a password"),
        ("temperature", "hot", "can't be 'hot'"),
    ],
)
def test_a_bad_option_is_told_without_its_password(option: str, value: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told) as raised:
        make_scorer("llm_judge", ["model=m", f"{option}={value}"])
    assert "ss@" not in str(raised.value) and "user" not in str(raised.value)
