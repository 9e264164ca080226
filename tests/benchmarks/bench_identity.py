"""Whether speculative answers are the large model's own, token for token: greedy answers of both
servers that check drafts, ours and the real vLLM, alone and by drafts of the small model.

On all shipped test questions of both embedded pairs, and on 200 further prompts whose answers have
at least 64 tokens. A difference counts, unless it is at a near-tie: a place where the two likeliest
tokens' logits are within 1e-3, which sums in another order may break otherwise. All near-ties are
listed, whether the answers differ there or not. (Our server tells log-probabilities of an answer's
text: of the token that ends it only vLLM does.)

`make bench-vllm` runs it in the environment that has vLLM; elsewhere only our server is asked.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import zip_longest
from pathlib import Path
from typing import Any

import httpx
import pytest

from predictors.contract import Answer, Query, Sampling
from predictors.embedded import directory
from predictors.embedded.workshop.questions import (
    LONG,
    held_out_questions,
    test_questions as shipped_questions,
)
from predictors.engines.side_by_side import side_by_side
from predictors.engines.speculative import SpeculativeEngine, SpeculativeSettings
from tests.conftest import StartServer
from tests.predictors.engines.vllm.openai_server import running

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(3600)]

AT_ONCE = 16
FURTHER = 200
LEAST_TOKENS = 64
NEAR = 1e-3  # of two logits
GREEDY: dict[str, Any] = {"max_tokens": 128, "temperature": 0.0, "repetition_penalty": 1.0}
WITHOUT_VLLM = pytest.mark.skipif(find_spec("vllm") is None, reason="run by make bench-vllm")


@dataclass(frozen=True)
class Place:
    """Of one token of an answer: itself, the one that comes next to it, and how far it is."""

    token: str
    second: str
    gap: float


@dataclass(frozen=True)
class Own:
    """What the large model says alone."""

    text: str
    tokens: int
    places: list[Place]

    def at(self, text: str) -> int:
        """The place of the first token at which another answer differs."""
        pairs = zip_longest(self.text, text)
        same = next((i for i, (one, other) in enumerate(pairs) if one != other), len(text))
        length = 0
        for number, place in enumerate(self.places):
            length += len(place.token)
            if length > same:
                return number
        return len(self.places)

    def gap(self, place: int) -> float:
        return self.places[place].gap if place < len(self.places) else float("inf")


def further() -> list[str]:
    shipped = {each.query for each in shipped_questions(LONG)}
    drawn = held_out_questions(FURTHER + len(shipped), seed=1, of=LONG)
    return [each.query for each in drawn if each.query not in shipped][:FURTHER]


def sets() -> dict[str, tuple[str, list[str]]]:
    """Of each: the pair, and its questions."""
    short = [each.query for each in shipped_questions()]
    long = [each.query for each in shipped_questions(LONG)]
    return {
        "shipped, short": ("", short),
        "shipped, long": ("long-", long),
        "further, long": ("long-", further()),
    }


@contextmanager
def ours(start_server: StartServer, model: str, log: Path) -> Iterator[str]:
    given = ["--model_name", "big", "--model_dir", f"embedded:{model}"]
    server = start_server(
        "predictors", *given, "--verify_slots", str(AT_ONCE), ready="/v2/models/big/ready"
    )
    try:
        yield server.url
    finally:
        server.stop()


@contextmanager
def theirs(start_server: StartServer, model: str, log: Path) -> Iterator[str]:
    with running(directory(f"embedded:{model}"), "big", log, "--enforce-eager") as url:
        yield url.removesuffix("/v1")


@pytest.mark.parametrize(
    ("verifier", "way"),
    [
        ("predictor", "prompt_logprobs"),  # which it does not look at
        pytest.param("vllm", "prompt_logprobs", marks=WITHOUT_VLLM),
        pytest.param("vllm", "prefixes", marks=WITHOUT_VLLM),
    ],
)
@pytest.mark.asyncio
async def test_answers_are_the_large_model_s(
    start_server: StartServer, tmp_path: Path, verifier: str, way: str
) -> None:
    serve = ours if verifier == "predictor" else theirs
    wrong = []
    for prefix in ("", "long-"):
        with serve(start_server, f"{prefix}cloud", tmp_path / f"{prefix}log") as url:
            given = {"verifier": verifier, "vllm_check": way, "policy": "always"}
            edge = SpeculativeEngine(
                SpeculativeSettings(
                    url=url, model_dir=f"embedded:{prefix}edge", max_batch_size=AT_ONCE, **given
                )
            )
            await edge.start()
            for name, (of, questions) in sets().items():
                if of == prefix:
                    wrong += await compare(f"{verifier}, {way}, {name}", url, edge, questions)
            await edge.close()
    assert wrong == []


async def compare(title: str, url: str, edge: SpeculativeEngine, questions: list[str]) -> list[str]:
    """Prints what was found; returns the questions whose answers differ without a near-tie."""
    async with httpx.AsyncClient(base_url=url, timeout=300) as client:
        asked = (alone(client, question) for question in questions)
        owns = await side_by_side(asked, AT_ONCE)
    drafted = await side_by_side((speculative(edge, each) for each in questions), AT_ONCE)
    pairs = list(zip(questions, owns, drafted, strict=True))
    differ = [(q, own, got) for q, own, got in pairs if (own.text, own.tokens) != told(got)]
    passes = sum(got.speculation.cloud_passes for got in drafted if got.speculation)
    tokens = sum(own.tokens for own in owns)
    least = min(own.tokens for own in owns)
    if title.endswith("further, long"):
        assert least >= LEAST_TOKENS
    print(
        f"\n{title}: {len(owns)} answers of {least} to {max(own.tokens for own in owns)} tokens, "
        f"{len(owns) - len(differ)} the same; {passes / tokens:.3f} passes a token"
    )
    for question, own, _ in pairs:
        for number, place in enumerate(own.places):
            if place.gap < NEAR:
                print(f"  near-tie {place.gap:.1e} at {number}: {place} of {question!r}")
    for question, own, got in differ:
        number = own.at(got.text)
        print(f"  differs at {number} (gap {own.gap(number):.1e}): {question!r}: {got.text!r}")
    return [q for q, own, got in differ if own.gap(own.at(got.text)) >= NEAR]


def told(answer: Answer) -> tuple[str, int | None]:
    assert answer.speculation is not None and answer.speculation.route == "speculative"
    return answer.text, answer.completion_tokens


async def speculative(edge: SpeculativeEngine, question: str) -> Answer:
    (answer,) = await edge.generate([Query(question, Sampling(**GREEDY))])
    return answer


async def alone(client: httpx.AsyncClient, question: str) -> Own:
    messages = [{"role": "user", "content": question}]
    asked = {"logprobs": True, "top_logprobs": 2, **GREEDY}
    body = {"model": "big", "messages": messages, **asked}
    response = await client.post("/v1/chat/completions", json=body)
    response.raise_for_status()
    answer = response.json()
    choice = answer["choices"][0]
    places = [_place(each) for each in choice["logprobs"]["content"]]
    return Own(choice["message"]["content"], answer["usage"]["completion_tokens"], places)


def _place(told: dict[str, Any]) -> Place:
    first, second = sorted(told["top_logprobs"], key=lambda each: -each["logprob"])[:2]
    other = second if first["token"] == told["token"] else first
    return Place(told["token"], other["token"], first["logprob"] - second["logprob"])
