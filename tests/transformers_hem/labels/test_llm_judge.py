"""The judge: both orders, verdicts to scores, and what is no verdict."""

from pathlib import Path
from typing import Any

import pytest

from predictors.errors import Cause, ConfigurationError, HEMError
from tests.predictors.upstream.failing import failing
from tests.transformers_hem.labels.questions import question
from tests.transformers_hem.labels.servers import Server, says, serving
from transformers_hem.labels.scorers.base import NoScore, Pair
from transformers_hem.labels.scorers.llm_judge import LLMJudge, LLMJudgeOptions

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
        ({"key_file": Path("no/such/key")}, "key_file no/such/key can't be read"),
    ],
)
async def test_a_key_that_was_named_must_be_there(options: dict[str, Any], told: str) -> None:
    scorer = LLMJudge(LLMJudgeOptions(model="j", **options))
    with pytest.raises(ConfigurationError, match=told):
        await scorer.start()
    await scorer.close()
