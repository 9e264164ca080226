"""A server that answers as vLLM's OpenAI server does, of a model that counts: behind token t comes
t + 1, and behind LAST the end. What it answers may be spoilt."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import orjson
from aiohttp import web

LAST, END, VOCABULARY = 40, 1, 50
ROOM = 64
Spoil = Callable[[Any], Any]


class CountingTokenizer:
    """`names`: what tokens are that are not `<number>`."""

    def __init__(self, names: dict[int, str] | None = None) -> None:
        self.all_special_ids = [END, 2]
        self.added_tokens_decoder: dict[int, Any] = {}
        self._names = names or {}

    def __len__(self) -> int:
        return VOCABULARY

    def decode(self, tokens: list[int]) -> str:
        return "".join(self._names.get(token, f"<{token}>") for token in tokens)

    def encode(self, text: str) -> list[int]:
        return [len(word) for word in text.split()]

    def get_vocab(self) -> dict[str, int]:
        return {f"<{number}>": number for number in range(VOCABULARY)}


@dataclass(frozen=True)
class Counting:
    """The model that drafts, as a verifier sees it."""

    tokenizer: CountingTokenizer = field(default_factory=CountingTokenizer)
    vocabulary: int = VOCABULARY
    end_tokens: frozenset[int] = frozenset({END})


def behind(token: int) -> int:
    return END if token >= LAST else token + 1


def entry(own: int, other: int, told: int) -> dict[str, Any]:
    """Of one token of a prompt."""
    if told == own:
        other = (own + 1) % VOCABULARY
    return {
        str(told): {"logprob": -9.0, "rank": 17, "decoded_token": "x"},
        str(other): {"logprob": -3.0, "rank": 2, "decoded_token": "y"},
        str(own): {"logprob": -0.125, "rank": 1, "decoded_token": "z"},
    }


@dataclass
class ScriptedVLLM:
    """`spoils`: by path, what is done to an answer; `statuses`: answered in its place. `requests`
    are those to complete, in order; `ends` the tokens that end answers."""

    models: list[dict[str, Any]]
    tokenizer: CountingTokenizer = field(default_factory=CountingTokenizer)
    ends: frozenset[int] = frozenset({END})
    spoils: dict[str, Spoil] = field(default_factory=dict)
    statuses: dict[str, int] = field(default_factory=dict)
    requests: list[tuple[dict[str, Any], dict[str, str]]] = field(default_factory=list)
    url: str = ""

    async def answer(self, request: web.Request) -> web.Response:
        if (status := self.statuses.get(request.path)) is not None:
            return web.json_response({"error": {"message": "no"}}, status=status)
        body = orjson.loads(await request.read() or b"{}")
        made = {
            "/v1/models": lambda: {"object": "list", "data": self.models},
            "/detokenize": lambda: {"prompt": self.tokenizer.decode(body["tokens"])},
            "/v1/completions": lambda: self._completed(body, dict(request.headers)),
        }[request.path]()
        spoilt = self.spoils.get(request.path, lambda made: made)(made)
        content = json.dumps(spoilt).encode()  # which writes NaN, too
        return web.Response(body=content, content_type="application/json")

    def _completed(self, body: dict[str, Any], headers: dict[str, str]) -> dict[str, Any]:
        self.requests.append((body, headers))
        prompt = body["prompt"]
        if isinstance(prompt, str):
            prompt = self.tokenizer.encode(prompt)
        prompts = prompt if isinstance(prompt[0], list) else [prompt]
        choices = [self._choice(number, each, body) for number, each in enumerate(prompts)]
        return {"model": body["model"], "choices": choices, "usage": {}, "metrics": None}

    def _choice(self, number: int, prompt: list[int], body: dict[str, Any]) -> dict[str, Any]:
        (own,) = body.get("allowed_token_ids") or [behind(prompt[-1])]
        told = pairwise(prompt)
        return {
            "index": number,
            "finish_reason": "stop" if own in self.ends else "length",
            "logprobs": {
                "tokens": [f"token_id:{own}"],
                "token_logprobs": [-0.25],
                "top_logprobs": [{f"token_id:{own}": -0.25, "token_id:9": -2.0}],
            },
            "prompt_token_ids": prompt if body.get("return_token_ids") else None,
            "prompt_logprobs": [None, *(entry(behind(one), 3, token) for one, token in told)]
            if body.get("prompt_logprobs")
            else None,
        }


@asynccontextmanager
async def scripted_vllm(**given: Any) -> AsyncIterator[ScriptedVLLM]:
    server = ScriptedVLLM(**{"models": [{"id": "big", "max_model_len": ROOM}], **given})
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        await runner.cleanup()
