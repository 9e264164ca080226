"""The paths of OpenAI's API, which predictors and the gateway share."""

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response

from predictors.contract.openai.description import operation
from predictors.contract.openai.errors import PREFIXES, openai_error
from predictors.contract.openai.requests import ChatRequest, CompletionRequest
from predictors.serving.direct import Endpoint, add_posts

CHAT: Final = "/chat/completions"
COMPLETIONS: Final = "/completions"
REFUSED: Final = ("/responses", "/embeddings")  # clients may ask for them


class OpenAIPaths(ABC):
    """Serves `names`, the first of which is the model's own."""

    def __init__(self, *names: str) -> None:
        self._names = names
        self._created = int(time.time())

    def add_to(self, app: FastAPI) -> None:
        """Before kserve adds its own."""
        posts: dict[str, Endpoint] = {CHAT: self.chat, COMPLETIONS: self.completions}
        posts |= dict.fromkeys(REFUSED, self.refuse)
        for prefix in PREFIXES:
            app.add_api_route(f"{prefix}/models", self.models, methods=["GET"])
        described = {CHAT: operation(ChatRequest), COMPLETIONS: operation(CompletionRequest)}
        add_posts(
            app,
            {f"{p}{path}": endpoint for p in PREFIXES for path, endpoint in posts.items()},
            {f"{p}{path}": fields for p in PREFIXES for path, fields in described.items()},
        )

    async def models(self, request: Request) -> Response:
        return JSONResponse(self.listed())

    def listed(self, names: Sequence[str] | None = None) -> dict[str, Any]:
        """All, or those of `names`. kserve's V1 protocol has the same path: its `models` stand
        beside."""
        names = self._names if names is None else names
        described = {"object": "model", "created": self._created, "owned_by": "kserve-hem"}
        listed = [{"id": name, **described} for name in names]
        return {"object": "list", "data": listed, "models": list(names[:1])}

    @abstractmethod
    async def chat(self, request: Request) -> Response:
        """Answers, or refuses, with a body of OpenAI's shape."""

    @abstractmethod
    async def completions(self, request: Request) -> Response:
        """The same."""

    async def refuse(self, request: Request) -> Response:
        message = f"{request.url.path} is not served; use /v1/chat/completions or /v1/completions"
        return JSONResponse(openai_error(message, 404), 404)
