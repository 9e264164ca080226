"""Paths that are answered in front of an app's routes.

A FastAPI app looks at a request in eight places before its endpoint runs, a quarter of what a short
chat costs. These endpoints read the request themselves, and turn their errors into answers.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

Endpoint = Callable[[Request], Awaitable[Response]]


class DirectRoutes:
    """`endpoints` are those of POST, by path."""

    def __init__(self, app: ASGIApp, endpoints: Mapping[str, Endpoint]) -> None:
        self.app = app
        self.endpoints = endpoints

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        endpoint = None
        if scope["type"] == "http" and scope["method"] == "POST":
            endpoint = self.endpoints.get(scope["path"])
        if endpoint is None:
            await self.app(scope, receive, send)
            return
        response = await endpoint(Request(scope, receive, send))
        await response(scope, receive, send)


def add_posts(
    app: FastAPI,
    endpoints: Mapping[str, Endpoint],
    described: Mapping[str, Mapping[str, Any]],
) -> None:
    """Of an app that has not started. They are among its routes, too, for its description:
    `described` are fields of OpenAPI's operations, by path."""
    app.add_middleware(DirectRoutes, endpoints=endpoints)
    for path, endpoint in endpoints.items():
        app.add_api_route(
            path, endpoint, methods=["POST"], openapi_extra=dict(described.get(path, {}))
        )
