"""What a vLLM server is asked for a draft, and what its own tokens are by its answer.

Two ways, both of vLLM's OpenAI server as it is, by POST /v1/completions:

prompt_logprobs  known tokens and draft are one prompt, and vLLM tells of each token of a prompt
                 what it thinks of it. It skips its prefix cache for that, so the prompt is computed
                 again in each round, and the answer tells of all its tokens, not of the draft alone
prefixes         the known tokens, and each beginning of the draft behind them, are prompts of their
                 own. All are computed in one batch, on its prefix cache, and the answer is short
"""

import math
from collections.abc import Mapping, Sequence as Rows
from typing import Any, Final, NamedTuple, Protocol

COMPLETIONS: Final = "/v1/completions"
TOKEN: Final = "token_id:"  # how vLLM names a token with return_tokens_as_token_ids
# Explicit, as a model may bring defaults of its own. Two likely tokens, for the margin.
GREEDY: Final[Mapping[str, Any]] = {
    "max_tokens": 1,
    "temperature": 0,
    "top_p": 1,
    "repetition_penalty": 1,
    "presence_penalty": 0,
    "frequency_penalty": 0,
    "logprobs": 2,
    "return_tokens_as_token_ids": True,
}


class Chosen(NamedTuple):
    """The model's own token at one place. `ends`: whether it ends the answer; None: not told."""

    token: int
    logprob: float  # nats
    margin: float
    ends: bool | None = None


class Way(Protocol):
    def fields(self, known: list[int], draft: list[int]) -> dict[str, Any]:
        """Of the request's body."""
        ...

    def chosen(self, choices: Any, known: list[int], draft: list[int]) -> list[Chosen]:
        """Behind each beginning of the draft, none and all of it included. Raises ValueError."""
        ...


class PromptLogprobs:
    def fields(self, known: list[int], draft: list[int]) -> dict[str, Any]:
        asked = {"prompt_logprobs": 2} if draft else {}
        return {**GREEDY, "prompt": [*known, *draft], **asked}

    def chosen(self, choices: Any, known: list[int], draft: list[int]) -> list[Chosen]:
        choice = _one(choices, 0, 1)
        if not draft:
            return [generated(choice)]
        told = choice.get("prompt_logprobs")
        if not isinstance(told, list):
            raise ValueError("no prompt_logprobs, which a vLLM server answers")
        if len(told) != len(known) + len(draft):
            raise ValueError(
                f"prompt_logprobs of {len(told)} tokens, where {len(known) + len(draft)} were told"
            )
        places = zip(told[len(known) :], draft, strict=True)
        return [*(_at(place, token) for place, token in places), generated(choice)]


class Prefixes:
    def fields(self, known: list[int], draft: list[int]) -> dict[str, Any]:
        prompts = [[*known, *draft[:count]] for count in range(len(draft) + 1)]
        return {**GREEDY, "prompt": prompts}

    def chosen(self, choices: Any, known: list[int], draft: list[int]) -> list[Chosen]:
        count = len(draft) + 1
        return [generated(_one(choices, place, count)) for place in range(count)]


WAYS: Final[Mapping[str, Way]] = {"prompt_logprobs": PromptLogprobs(), "prefixes": Prefixes()}


def accepted(
    chosen: Rows[Chosen], draft: Rows[int], ends: frozenset[int], vocabulary: int
) -> list[Chosen]:
    """The drafted tokens that are the model's own, and its own one behind them; up to one that ends
    the answer. Raises ValueError for one that is none of `vocabulary`, and where one ends the
    answer that is not among `ends`."""
    taken: list[Chosen] = []
    for place, own in enumerate(chosen):
        if not 0 <= own.token < vocabulary:
            raise ValueError(f"token {own.token} is none of {vocabulary}")
        if own.ends is not None and own.ends != (own.token in ends):
            said = "ends" if own.ends else "does not end"
            raise ValueError(f"token {own.token} {said} an answer, which is new")
        taken.append(own)
        if own.token in ends or place == len(draft) or own.token != draft[place]:
            break
    return taken


def generated(choice: Mapping[str, Any]) -> Chosen:
    """The only token of an answer. Raises ValueError."""
    try:
        logprobs = choice["logprobs"]
        (token,), (logprob,) = logprobs["tokens"], logprobs["token_logprobs"]
        likely = [_number(value) for value in logprobs["top_logprobs"][0].values()]
        if not token.startswith(TOKEN):
            raise ValueError(
                f"the token {token!r:.40}, not its number, which a vLLM server answers"
            )
        margin = _margin(sorted(likely, reverse=True))
        return Chosen(
            int(token.removeprefix(TOKEN)),
            _number(logprob),
            margin,
            ends=choice["finish_reason"] == "stop",
        )
    except (KeyError, TypeError, AttributeError, IndexError):
        raise ValueError("no token with its number and log-probability") from None


def _one(choices: Any, index: int, count: int) -> Mapping[str, Any]:
    if not isinstance(choices, list) or len(choices) != count:
        found = len(choices) if isinstance(choices, list) else "no"
        raise ValueError(f"{found} choices, where {count} are needed")
    for choice in choices:
        if isinstance(choice, dict) and choice.get("index") == index:
            return choice
    raise ValueError(f"no choice {index}")


def _at(place: Any, drafted: int) -> Chosen:
    """Of one token of a prompt: what it was, and the two likeliest ones."""
    try:
        if str(drafted) not in place:
            raise ValueError(f"log-probabilities of other tokens than {drafted}, which was told")
        ranked = {each["rank"]: (int(token), each["logprob"]) for token, each in place.items()}
        token, best = ranked[1]
        likely = [_number(ranked[rank][1]) for rank in (1, 2) if rank in ranked]
        return Chosen(token, _number(best), _margin(likely))
    except (KeyError, TypeError, AttributeError):
        raise ValueError("no ranked log-probabilities of a drafted token") from None


def _number(value: Any) -> float:
    number = math.nan if isinstance(value, bool) else float(value)
    if not number <= _ROUNDING:
        raise ValueError(f"a log-probability of {value!r:.40}")
    return min(number, 0.0)


_ROUNDING: Final = 1e-3  # how far above 0 it may put a log-probability


def _margin(likely: list[float]) -> float:
    if len(likely) < 2:
        return 1.0  # nothing else is possible
    return min(max(math.exp(likely[0]) - math.exp(likely[1]), 0.0), 1.0)
