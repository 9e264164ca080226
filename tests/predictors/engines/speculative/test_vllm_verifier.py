"""What a vLLM server answers becomes a verdict, and what can't be one a clear error."""

import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from predictors.contract import Sampling
from predictors.contract.speculation import Drawing, Round, Verdict, Whole
from predictors.engines.speculative.settings import SpeculativeSettings
from predictors.engines.speculative.vllm_verifier import VLLMVerifier
from predictors.engines.speculative.vllm_ways import WAYS
from predictors.errors import InvalidRequest, UpstreamError
from tests.predictors.engines.speculative.scripted_vllm import (
    END,
    LAST,
    ROOM,
    VOCABULARY,
    Counting,
    CountingTokenizer,
    ScriptedVLLM,
    scripted_vllm,
)
from tests.predictors.upstream.ledger.reading import lines, outcomes

GREEDY = Sampling(temperature=0.0, repetition_penalty=1.0)
COMPLETIONS, MODELS, DETOKENIZE = "/v1/completions", "/v1/models", "/detokenize"


@asynccontextmanager
async def verifier(server: ScriptedVLLM, **settings: Any) -> AsyncIterator[VLLMVerifier]:
    given = {"url": server.url, "model_dir": "-", "retries": 0, "breaker_failures": 0, **settings}
    made = VLLMVerifier(SpeculativeSettings(verifier="vllm", **given))
    try:
        yield made
    finally:
        await made.close()


async def checked(
    made: VLLMVerifier,
    known: list[int],
    draft: list[int],
    pending: list[int] | None = None,
    sampling: Sampling = GREEDY,
) -> Verdict:
    pending = pending or []
    drawing = Drawing.of(sampling, 0, coupled=True)
    whole = Whole(tokens=known, prompt=1, drawing=drawing)
    round = Round(id="a", at=len(known) + len(pending), draft=draft, pending=pending)
    return await made.check(round, whole, VOCABULARY)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("draft", "pending", "accepted", "tokens"),
    [
        ([12, 13], [], 2, [12, 13, 14]),
        ([12, 9, 14], [], 1, [12, 13]),
        ([9], [], 0, [12]),
        ([], [], 0, [12]),
        ([14], [12, 13], 1, [14, 15]),
        ([14], [12, 9], 0, []),
    ],
)
async def test_what_the_model_would_have_said_is_taken(
    way: str, draft: list[int], pending: list[int], accepted: int, tokens: list[int]
) -> None:
    async with scripted_vllm() as server, verifier(server, vllm_check=way) as made:
        await made.model(Counting())
        verdict = await checked(made, [10, 11], draft, pending)
    assert (verdict.accepted, verdict.tokens) == (accepted, tokens)
    assert len(verdict.logprobs) == len(verdict.margins) == len(tokens)
    assert all(-1 < logprob < 0 for logprob in verdict.logprobs)
    assert all(0.5 < margin < 1 for margin in verdict.margins)


@pytest.mark.parametrize("way", WAYS)
async def test_nothing_comes_behind_an_end(way: str) -> None:
    async with scripted_vllm() as server, verifier(server, vllm_check=way) as made:
        await made.model(Counting())
        drafted = await checked(made, [10, LAST - 1], [LAST, END, 2])
        own = await checked(made, [10, LAST - 1], [LAST])
        missed = await checked(made, [10, LAST - 1], [LAST, 7])
    assert (drafted.accepted, drafted.tokens) == (2, [LAST, END])
    assert (own.accepted, own.tokens) == (1, [LAST, END])
    assert (missed.accepted, missed.tokens) == (1, [LAST, END])


@pytest.mark.parametrize("way", WAYS)
async def test_a_draft_is_cut_where_the_context_ends(way: str) -> None:
    async with scripted_vllm() as server, verifier(server, vllm_check=way) as made:
        await made.model(Counting())
        known = [5] * (ROOM - 3)
        verdict = await checked(made, known, [6, 7, 8, 9])
        prompt = server.requests[-1][0]["prompt"]
    longest = max(map(len, prompt)) if way == "prefixes" else len(prompt)
    assert longest == ROOM - 1
    assert (verdict.accepted, verdict.tokens) == (2, [6, 7, 8])


async def test_a_model_s_own_defaults_do_not_count() -> None:
    """vLLM takes them from the model's generation_config.json, where a request leaves them out."""
    async with scripted_vllm() as server, verifier(server, api_key="secret") as made:
        await made.model(Counting())
        await checked(made, [10], [11])
        body, headers = server.requests[-1]
    without = {"temperature": 0, "top_p": 1, "repetition_penalty": 1, "presence_penalty": 0}
    assert without.items() <= body.items()
    assert (body["model"], body["max_tokens"], body["frequency_penalty"]) == ("big", 1, 0)
    assert headers["Authorization"] == "Bearer secret"


async def test_what_vllm_tells_of_its_work_is_passed_on() -> None:
    def told(body: Any) -> Any:
        metrics = {"time_to_first_token_ms": 30.0, "queue_time_ms": 10.0}
        usage = {"prompt_tokens_details": {"cached_tokens": 48}}
        return {**body, "metrics": metrics, "usage": usage}

    async with scripted_vllm(spoils={COMPLETIONS: told}) as server, verifier(server) as made:
        await made.model(Counting())
        verdict = await checked(made, [10], [11])
    assert (verdict.cached, verdict.passes) == (48, 1)
    assert verdict.seconds == verdict.held == pytest.approx(0.02)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("counts", [True, False])
async def test_the_ledger_has_the_model_and_the_tokens(
    way: str, counts: bool, tmp_path: Path
) -> None:
    """Those that vLLM counts, where it does."""
    path = tmp_path / "ledger"

    def told(body: Any) -> Any:
        usage = {"prompt_tokens": 7, "completion_tokens": 1} if counts else None
        return {**body, "usage": usage}

    given = {"ledger": str(path), "vllm_check": way}
    async with (
        scripted_vllm(spoils={COMPLETIONS: told}) as server,
        verifier(server, **given) as made,
    ):
        await made.model(Counting())
        await checked(made, [10, 11], [12, 13])
    sent = lines(path, "intent")[-1]
    tokens = 4 if way == "prompt_logprobs" else 2 + 3 + 4
    assert (sent["sequence"], sent["tokens"], sent["drafted"]) == ("a", tokens, 2)
    came = outcomes(path)[sent["n"]]
    assert came["model"] == "big"
    given = came["prompt_tokens"], came["completion_tokens"]
    assert given == ((7, 1) if counts else (tokens, 3))


@pytest.mark.parametrize(
    ("sampling", "why"),
    [
        (Sampling(temperature=0.7, repetition_penalty=1.0), "temperature 0"),
        (Sampling(temperature=0.0, repetition_penalty=1.05), "repetition_penalty, and it is 1.05"),
        (Sampling(temperature=0.0, repetition_penalty=1.0, presence_penalty=0.5), "presence"),
        (Sampling(temperature=0.0, repetition_penalty=1.0, frequency_penalty=-1), "frequency"),
    ],
)
async def test_what_it_can_not_check_is_said(sampling: Sampling, why: str) -> None:
    async with scripted_vllm() as server, verifier(server) as made:
        await made.model(Counting())
        assert made.takes(GREEDY) is None
        assert why in str(made.takes(sampling))
        with pytest.raises(InvalidRequest, match=why):
            await checked(made, [10], [11], sampling=sampling)


def choice(**changed: Any) -> Callable[[Any], Any]:
    return lambda body: {**body, "choices": [{**body["choices"][0], **changed}]}


def place(told: Any) -> Callable[[Any], Any]:
    """Of the last token of a prompt."""

    def spoilt(body: Any) -> Any:
        before = body["choices"][0]["prompt_logprobs"][:-1]
        return choice(prompt_logprobs=[*before, told])(body)

    return spoilt


def own(logprob: Any = -0.5, token: str = "token_id:12") -> dict[str, Any]:
    top = {token: logprob, "token_id:9": -2.0}
    return {"tokens": [token], "token_logprobs": [logprob], "top_logprobs": [top]}


ODD: dict[str, tuple[Callable[[Any], Any], str]] = {
    "no prompt_logprobs": (choice(prompt_logprobs=None), "no prompt_logprobs"),
    "too few": (choice(prompt_logprobs=[None]), "of 1 tokens, where 2 were told"),
    "a place of nothing": (place(None), "no ranked"),
    "a place without ranks": (place({"11": {"logprob": -1.0}}), "no ranked"),
    "a place where none is first": (place({"11": {"logprob": -1.0, "rank": 2}}), "no ranked"),
    "a place of other tokens": (place({"7": {"logprob": -1.0, "rank": 1}}), "other tokens than 11"),
    "above 0": (place({"11": {"logprob": 0.5, "rank": 1}}), "a log-probability of 0.5"),
    "null": (place({"11": {"logprob": None, "rank": 1}}), "no ranked"),
    "outside of the vocabulary": (
        place({"11": {"logprob": -9, "rank": 5}, "999": {"logprob": -1.0, "rank": 1}}),
        f"999 is none of {VOCABULARY}",
    ),
    "its own outside": (choice(logprobs=own(token="token_id:50")), "50 is none of 50"),
    "its own below 0": (choice(logprobs=own(token="token_id:-3")), "-3 is none of"),
    "its own as text": (choice(logprobs=own(token="four")), "'four', not its number"),
    "its own is nothing": (choice(logprobs=None), "no token with its number"),
    "its own is none": (choice(logprobs={"tokens": []}), "no token with its number"),
    "NaN": (choice(logprobs=own(logprob=math.nan)), "a log-probability of nan"),
    "NaN in a prompt": (
        place({"11": {"logprob": math.nan, "rank": 1}}),
        "a log-probability of nan",
    ),
    "infinite": (choice(logprobs=own(logprob="inf")), "a log-probability of 'inf'"),
    "two choices": (lambda body: {**body, "choices": body["choices"] * 2}, "2 choices, where 1"),
    "no choices": (lambda body: {**body, "choices": None}, "no choices"),
    "an index that was not asked for": (choice(index=4), "no choice 0"),
    "another model": (lambda body: {**body, "model": "small"}, "of the model 'small', not of"),
    "a list": (lambda body: [body], "no object"),
    "an end that was none": (choice(finish_reason="stop"), "token 12 ends an answer"),
}


@pytest.mark.parametrize("odd", ODD)
async def test_an_answer_that_can_be_none_is_an_error(odd: str) -> None:
    spoil, said = ODD[odd]
    async with scripted_vllm() as server, verifier(server) as made:
        await made.model(Counting())
        server.spoils[COMPLETIONS] = spoil
        with pytest.raises(UpstreamError, match=said) as raised:
            await checked(made, [10], [11])
        assert raised.value.status == 502
        server.spoils.clear()
        assert (await checked(made, [10], [11])).tokens == [11, 12]


async def test_prefixes_of_a_wrong_count_are_an_error() -> None:
    async with scripted_vllm() as server, verifier(server, vllm_check="prefixes") as made:
        await made.model(Counting())
        server.spoils[COMPLETIONS] = lambda body: {**body, "choices": body["choices"][1:]}
        with pytest.raises(UpstreamError, match="2 choices, where 3 are needed"):
            await checked(made, [10], [11, 12])


async def test_the_model_is_the_only_one_or_the_named_one() -> None:
    both = [{"id": "big"}, {"id": "adapter", "max_model_len": 48}]
    async with scripted_vllm(models=both) as server:
        async with verifier(server) as made:
            with pytest.raises(UpstreamError, match=r"\(big, adapter\).*--upstream_model"):
                await made.model(Counting())
        async with verifier(server, upstream_model="other") as made:
            with pytest.raises(UpstreamError, match=r"\(big, adapter\).*--upstream_model"):
                await made.model(Counting())
        async with verifier(server, upstream_model="adapter") as made:
            assert (await made.model(Counting())).room == 48
            await checked(made, [10], [11])
            assert server.requests[-1][0]["model"] == "adapter"


async def test_special_tokens_that_end_answers_are_found_out() -> None:
    async with scripted_vllm(ends=frozenset({END, 2})) as server, verifier(server) as made:
        assert (await made.model(Counting())).end_tokens == [END, 2]
    async with scripted_vllm(ends=frozenset({2})) as server, verifier(server) as made:
        assert (await made.model(Counting())).end_tokens == [2]


@pytest.mark.parametrize(
    ("spoils", "statuses", "said"),
    [
        ({MODELS: lambda body: {"data": "x"}}, {}, "no list of models"),
        ({DETOKENIZE: lambda body: {"text": "x"}}, {}, "no text of tokens"),
        ({COMPLETIONS: choice(logprobs=own())}, {}, "where only 1 was allowed"),
        ({}, {MODELS: 401}, "refused the key"),
        ({}, {DETOKENIZE: 500}, "500"),
    ],
)
async def test_a_server_that_is_no_vllm_is_said_to_be_none(
    spoils: Any, statuses: dict[str, int], said: str
) -> None:
    made = scripted_vllm(spoils=spoils, statuses=statuses)
    async with made as server, verifier(server) as asking:
        with pytest.raises(UpstreamError, match=said):
            await asking.model(Counting())


async def test_another_tokenizer_is_told_by_a_token(caplog: pytest.LogCaptureFixture) -> None:
    other = CountingTokenizer({37: "cat"})
    async with scripted_vllm(tokenizer=other) as server, verifier(server) as made:
        assert (await made.model(Counting())).tokenizer == ""
    assert "token 37 is '<37>' here, and 'cat' there" in caplog.text


async def test_without_detokenize_the_numbers_of_a_text_are_compared(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with scripted_vllm(statuses={DETOKENIZE: 404}) as server, verifier(server) as made:
        assert (await made.model(Counting())).tokenizer
        assert "passes no /detokenize on" in caplog.text
        server.spoils[COMPLETIONS] = choice(prompt_token_ids=[1, 2, 3])
        assert (await made.model(Counting())).tokenizer == ""
        server.spoils[COMPLETIONS] = choice(prompt_token_ids=None)
        with pytest.raises(UpstreamError, match="no prompt_token_ids"):
            await made.model(Counting())
