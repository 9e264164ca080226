"""One URL under load: which API it speaks, and the bodies of its requests."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

import orjson

from inferencegraph.evaluate.load.questions import Question
from predictors.contract import MAX_TOKENS, Scalar, text_request
from predictors.errors import ConfigurationError
from predictors.upstream.ask import check_url
from predictors.upstream.client import URL
from predictors.upstream.redaction import shown_url


class API(StrEnum):
    V2 = "v2"
    CHAT = "chat"
    COMPLETIONS = "completions"


PATHS: Final[Mapping[str, API]] = {"/chat/completions": API.CHAT, "/completions": API.COMPLETIONS}
EXAMPLE: Final = "http://127.0.0.1:8080"


@dataclass(frozen=True, slots=True)
class Target:
    """`url` is where requests are posted, with its secrets; `shown` is without. `name` tells
    targets apart: A, B, ... or a hop's."""

    name: str
    url: str = field(repr=False)
    api: API
    stream: bool = False
    model: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def shown(self) -> str:
        return shown_url(self.url)

    @property
    def models_url(self) -> str:
        """Where an OpenAI server lists its models."""
        path = URL(self.url).path
        for end in PATHS:
            path = path.removesuffix(end)
        return str(URL(self.url).copy_with(path=f"{path}/models"))

    def bodies(
        self, questions: Sequence[Question], parameters: Mapping[str, Scalar]
    ) -> list[bytes]:
        """One of each question. Raises ConfigurationError for a row that this API can't carry."""
        return [self.body(question, parameters) for question in questions]

    def body(self, question: Question, parameters: Mapping[str, Scalar]) -> bytes:
        if self.api is API.V2:
            return orjson.dumps(_v2(question, parameters))
        fields: dict[str, Any] = {"model": self.model, **_asked(question, self.api), **parameters}
        if self.stream:
            fields |= {"stream": True, "stream_options": {"include_usage": True}}
        return orjson.dumps(fields)


def target(name: str, url: str, *, stream: bool, key: str = "", model: str | None = None) -> Target:
    """By its path a URL is OpenAI's base (/v1), one of OpenAI's paths, or else V2's: a graph, or a
    predictor's /v2/models/NAME/infer. Raises ConfigurationError."""
    check_url(url, "--url", EXAMPLE)
    parsed = URL(url)
    path = parsed.path.rstrip("/")
    api = next((api for end, api in PATHS.items() if path.endswith(end)), API.V2)
    if path.endswith("/v1"):
        api, path = API.CHAT, f"{path}/chat/completions"
    if api is API.V2:
        if stream:
            raise ConfigurationError(
                f"--stream: {shown_url(url)} is not an OpenAI URL, and V2 has no streams; "
                "give a base URL that ends in /v1, as a gateway's http://127.0.0.1:8180/v1"
            )
        return Target(name, url, api)
    headers = {"authorization": f"Bearer {key}"} if key else {}
    return Target(name, str(parsed.copy_with(path=path)), api, stream, model, headers)


def sampling(max_tokens: int | None, temperature: float | None) -> dict[str, Scalar]:
    """Parameters of each request: those that were given."""
    given = {MAX_TOKENS: max_tokens, "temperature": temperature}
    return {name: value for name, value in given.items() if value is not None}


def _v2(question: Question, parameters: Mapping[str, Scalar]) -> dict[str, Any]:
    if question.inputs is not None:
        body: dict[str, Any] = {"inputs": question.inputs}
        return {**body, "parameters": dict(parameters)} if parameters else body
    if question.text is None:
        raise ConfigurationError(f"{question.where}: 'messages' need an OpenAI URL; V2 has 'query'")
    return text_request([question.text], parameters)


def _asked(question: Question, api: API) -> dict[str, Any]:
    if api is API.CHAT and question.messages is not None:
        return {"messages": question.messages}
    if question.text is None:
        name = "inputs" if question.inputs is not None else "messages"
        raise ConfigurationError(f"{question.where}: {name!r} can't be asked as {api}")
    if api is API.CHAT:
        return {"messages": [{"role": "user", "content": question.text}]}
    return {"prompt": question.text}
