"""Asks the edge and the cloud model: at two predictors, or through one graph."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

from predictors.contract import (
    CLOUD,
    EDGE,
    HEM_PREFER,
    HEM_REASON,
    HEM_ROUTE,
    Answer,
    Scalar,
    text_request,
)
from predictors.contract.openai.errors import PREFIXES
from predictors.errors import Cause, ConfigurationError, HEMError, UpstreamError
from predictors.upstream.ask import check_url, read_reply
from predictors.upstream.attempt import DEFAULT_MAX_ANSWER_BYTES, Refusal
from predictors.upstream.http import HTTPUpstream
from predictors.upstream.openai.answer import whole_answer
from predictors.upstream.openai.bodies import CHAT
from predictors.upstream.openai.choice import first_choice
from predictors.upstream.openai.refusals import UnsupportedFields, told
from predictors.upstream.openai.signals import ALTERNATIVES
from predictors.upstream.redaction import shown_url
from predictors.upstream.settings import Connection, Limits
from transformers_hem.labels.prefixes import Prefix, prefixes_of
from transformers_hem.labels.question import Side

_EXAMPLE: Final = "http://127.0.0.1:8080/v2/models/NAME/infer"
_V2_PATH: Final = re.compile(r"(.*)/v2/models/([^/]+)(?:/versions/[^/]+)?/infer/?")
_CONNECT_SECONDS: Final = 5.0
_WAITS: Final = (0.5, 8.0)  # seconds before another attempt: a run may take hours, a server minutes
# Statuses after which the next question would fail in the same way. None: no answer, or one that
# can't be used.
_SYSTEMIC: Final = frozenset({None, 401, 403, 404, 405, 429, 501, 502, 503, 504})


def patient_upstream(
    url: str,
    timeout: float,
    attempts: int,
    *,
    headers: Mapping[str, str] | None = None,
    connection: Connection | None = None,
    max_answer_bytes: int = DEFAULT_MAX_ANSWER_BYTES,
    refused: Callable[[Refusal], HEMError] = Refusal.error,
) -> HTTPUpstream:
    """For a predictor or a judge that a run asks. `timeout` is seconds of one attempt. No breaker:
    the run ends by itself where a server is gone.

    Raises ConfigurationError for a `connection` that can't be.
    """
    limits = Limits(
        timeout=attempts * (timeout + _WAITS[1]),
        retries=attempts - 1,
        retry_seconds=attempts * (timeout + _WAITS[1]),
        max_concurrency=1_000_000,
        max_answer_bytes=max_answer_bytes,
        breaker_failures=0,
    )
    client = (connection or Connection()).client_for(timeout, _CONNECT_SECONDS)
    return HTTPUpstream(
        url,
        limits,
        client,
        headers=headers,
        refused=refused,
        attempt_seconds=timeout,
        waits=_WAITS,
    )


def is_systemic(error: Exception) -> bool:
    """True where the next question would fail in the same way."""
    if not isinstance(error, UpstreamError) or error.cause is Cause.DECLINED:
        return False
    return error.answered in _SYSTEMIC


class WrongModel(HEMError):
    """The graph answered, but not with the model that was asked for."""


@dataclass(frozen=True, slots=True)
class Models:
    """Where the two models are. `through_graph`: both URLs are one graph's, asked with
    hem_prefer. `parameters` are the V2 parameters of every request. `prefix_tokens`: the edge is
    asked for the signals of so many first tokens of its answers, too, each."""

    edge_url: str
    cloud_url: str
    through_graph: bool
    parameters: Mapping[str, Scalar]
    prefix_tokens: Sequence[int] = ()

    @classmethod
    def at(
        cls,
        edge: str | None,
        cloud: str | None,
        graph: str | None,
        parameters: Mapping[str, Scalar],
        prefix_tokens: Sequence[int] = (),
    ) -> "Models":
        """Raises ConfigurationError unless either both predictors or a graph are named; prefixes
        need the predictors."""
        if graph is not None and edge is None and cloud is None:
            if prefix_tokens:
                raise ConfigurationError(
                    "--prefix-tokens needs log-probabilities of tokens, which no graph passes on: "
                    "give --edge and --cloud in place of --url"
                )
            url = check_url(graph, "--url", _EXAMPLE)
            return cls(url, url, True, parameters)
        if graph is not None or edge is None or cloud is None:
            raise ConfigurationError("give --edge and --cloud, or a graph's --url")
        if edge == cloud:
            raise ConfigurationError(
                f"--edge and --cloud are the same, {shown_url(edge)!r}; use a graph's --url"
            )
        check_url(edge, "--edge", _EXAMPLE)
        if prefix_tokens:
            chats_beside(edge)
        cloud = check_url(cloud, "--cloud", _EXAMPLE)
        return cls(edge, cloud, False, parameters, prefix_tokens)

    def settings(self) -> dict[str, Any]:
        """What decides the answers; a file keeps it, so without passwords."""
        edge, cloud = shown_url(self.edge_url), shown_url(self.cloud_url)
        if self.through_graph:
            return {"url": edge, "parameters": dict(self.parameters)}
        urls = {"edge": edge, "cloud": cloud}
        asked = {"prefix_tokens": list(self.prefix_tokens)} if self.prefix_tokens else {}
        return {**urls, "parameters": dict(self.parameters), **asked}


def chats_beside(url: str) -> tuple[str, str]:
    """The base URL of OpenAI's API, and the model's name there, of the predictor of ours whose V2
    path `url` is. Raises ConfigurationError where it is none."""
    base, mark, parameters = url.partition("?")
    path = _V2_PATH.fullmatch(base)
    if path is None:
        raise ConfigurationError(
            f"--edge {shown_url(url)!r} does not end in /v2/models/NAME/infer, by which "
            "--prefix-tokens finds the model's chats"
        )
    return f"{path[1]}{PREFIXES[0]}{mark}{parameters}", unquote(path[2])


class Asked(NamedTuple):
    """An answer, and its beginnings where they were asked for."""

    answer: Answer
    prefixes: Sequence[Prefix] = ()


class Chats:
    """Asks the edge for the same answers as chats, which tell the log-probability of each token."""

    def __init__(self, models: Models, timeout: float, attempts: int) -> None:
        base, self._model = chats_beside(models.edge_url)
        self._http = patient_upstream(base, timeout, attempts, refused=told(Refusal.error))
        self._parameters = models.parameters
        self._sizes = models.prefix_tokens

    async def ask(self, query: str, *, retry: bool) -> Asked:
        """Raises UpstreamError."""
        messages = [{"role": "user", "content": query}]
        scores = CHAT.logprobs(ALTERNATIVES)
        body = {"model": self._model, "messages": messages, **self._parameters, **scores}
        try:
            return await self._http.post(CHAT.path, body, self._read, retry=retry)
        except UnsupportedFields as error:
            raise UpstreamError(f"{error}; --prefix-tokens can't do without") from None

    def _read(self, response: Any) -> Asked:
        """Raises ValueError, Declined."""
        answer, choice = whole_answer(response, CHAT).answer, first_choice(response)
        assert answer is not None and choice is not None
        if answer.text and not choice.get("logprobs"):
            raise ValueError("it has no log-probabilities, which --prefix-tokens needs")
        return Asked(answer, prefixes_of(choice, self._sizes))

    async def close(self) -> None:
        await self._http.close()


class Asker:
    """Asks the models of one run. `timeout` is seconds of one attempt at one question."""

    def __init__(self, models: Models, timeout: float, attempts: int) -> None:
        self.models = models
        self._chats = Chats(models, timeout, attempts) if models.prefix_tokens else None
        self._upstreams = {
            url: patient_upstream(url, timeout, attempts)
            for url in {models.edge_url, models.cloud_url}
        }

    async def ask(self, side: Side, query: str, *, retry: bool = True) -> Asked:
        """Raises UpstreamError; WrongModel for a graph's answer of another model than `side`'s."""
        models = self.models
        if self._chats is not None and side == EDGE:
            return await self._chats.ask(query, retry=retry)
        url = models.edge_url if side == EDGE else models.cloud_url
        prefer = {HEM_PREFER: side} if models.through_graph else {}
        request = text_request([query], {**models.parameters, **prefer})
        answer, routed = await self._upstreams[url].post("", request, _one_answer, retry=retry)
        if models.through_graph:
            _require_route(routed, side, shown_url(url))
        return Asked(answer)

    async def close(self) -> None:
        if self._chats is not None:
            await self._chats.close()
        for upstream in self._upstreams.values():
            await upstream.close()


def require_two_models(edge: Answer, cloud: Answer) -> None:
    """Raises UpstreamError where a graph's degrade step let the edge answer for the cloud."""
    if edge.served_by == cloud.served_by:
        raise UpstreamError(
            f"{cloud.served_by!r} answered for the cloud: the graph degraded", Cause.UNREACHABLE
        )


def _one_answer(response: Any) -> tuple[Answer, Mapping[str, Any]]:
    answers, parameters = read_reply(response)
    if len(answers) != 1:
        raise ValueError(f"{len(answers)} answers to one question")
    return answers[0], parameters


def _require_route(parameters: Mapping[str, Any], side: Side, url: str) -> None:
    """In the answer stage the cloud sees the client's own request: its answer has no route."""
    route = parameters.get(HEM_ROUTE)
    if route == side or (route is None and side == CLOUD):
        return
    if route is None:
        raise UpstreamError(f"{url} answered without {HEM_ROUTE}; --url is for graphs")
    where = f"it went to {route!r}, reason {parameters.get(HEM_REASON)!r}"
    raise WrongModel(f"{url} was asked for the {side}'s answer, but {where}")
