"""The page's paths. Its files hold nothing secret; its JSON needs the keys of the API."""

import contextlib
import os
import time
from collections.abc import Callable
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response

from predictors.contract import CLOUD
from predictors.contract.openai.errors import error_body, openai_error
from predictors.errors import HEMError, InvalidRequest
from predictors.prices import Prices
from transformers_hem.gateway.callers import Caller
from transformers_hem.gateway.page.counters import figures
from transformers_hem.gateway.page.curve import about_threshold
from transformers_hem.gateway.page.files import HEADERS, INDEX, Files
from transformers_hem.gateway.page.learning import Learning
from transformers_hem.gateway.page.recent import Recent
from transformers_hem.gateway.site import Site
from transformers_hem.serving.decision import Decider

PATH: Final = "/ui"
MOST: Final = 50  # requests of one answer
_JSON: Final = {**HEADERS, "cache-control": "no-store"}


class Page:
    """Of one gateway. `decider` and `prices` give those of the moment, which may change; `check`
    raises HEMError for who may not call. `keeps_feedback`: this server has a store of it."""

    def __init__(
        self,
        site: Site,
        decider: Callable[[], Decider],
        prices: Callable[[], Prices | None],
        check: Callable[[Request], Caller],
        *,
        keeps_feedback: bool = False,
    ) -> None:
        self._site = site
        self._decider = decider
        self._prices = prices
        self._check = check
        self._files = Files()
        self._run = os.urandom(6).hex()
        self._started = time.monotonic()
        self._learning = Learning(keeps=keeps_feedback)
        self.recent = Recent(prices, lambda: site.targets[CLOUD].named)

    def add_to(self, app: FastAPI) -> None:
        get: dict[str, Any] = {"methods": ["GET"], "include_in_schema": False}
        app.add_api_route(PATH, self.enter, **get)
        app.add_api_route(f"{PATH}/state.json", self.state, **get)
        app.add_api_route(f"{PATH}/threshold.json", self.threshold, **get)
        app.add_api_route(f"{PATH}/{{name:path}}", self.file, **get)

    async def enter(self, request: Request) -> Response:
        """To where the page's own links begin, whatever stands before /ui outside."""
        return Response(status_code=307, headers={**HEADERS, "location": "ui/"})

    async def file(self, name: str, request: Request) -> Response:
        answer = self._files.answer(name or INDEX, request)
        if answer is None:
            body = openai_error(f"{request.url.path} is not part of the page", 404)
            return JSONResponse(body, 404, headers=_JSON)
        return answer

    async def state(self, request: Request) -> Response:
        """What changes: counters, times, what is learned, and requests that ended after number
        `after`."""
        try:
            caller = self._check(request)
            after = _number(request.query_params.get("after", "0"))
        except HEMError as error:
            return _refused(error)
        decider, recent = self._decider(), self.recent
        return _answered(
            {
                "run": self._run,
                "seconds": time.monotonic() - self._started,
                "models": self._site.may_call(caller),
                "threshold": {
                    "router": decider.router or decider.name,
                    "version": decider.router_version,
                    "at": decider.threshold,
                },
                "sides": {side: self._doubt(side) for side in self._site.targets},
                **figures(),
                "copies": recent.copies,
                "failed": recent.failed,
                "times": recent.times(),
                "saved": recent.saved,
                "drafts": recent.drafts.as_json(),
                "learning": await self._learning.about(decider),
                "prices": self._known_prices(),
                "last": recent.last,
                "recent": recent.after(after, MOST),
            }
        )

    async def threshold(self, request: Request) -> Response:
        """What changes with the router in force."""
        try:
            self._check(request)
        except HEMError as error:
            return _refused(error)
        if self._prices() is not None:
            with contextlib.suppress(HEMError):  # its name is the key to its price
                await self._site.targets[CLOUD].model()
        return _answered(about_threshold(self._decider()))

    def _doubt(self, side: Any) -> str | None:
        """Why this side is not asked now; None where it is."""
        doubt = self._site.targets[side].http.doubts()
        return None if doubt is None else str(doubt)

    def _known_prices(self) -> dict[str, Any] | None:
        prices = self._prices()
        if prices is None:
            return None
        priced = self.recent.clouds_price()
        cloud = {"model": priced[0], **priced[1].model_dump()} if priced else None
        return {"currency": prices.currency, "cloud": cloud}


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 18):
        raise InvalidRequest(f"after must be the number of a request, not {text!r:.40}")
    return int(text)


def _answered(body: dict[str, Any]) -> JSONResponse:
    return JSONResponse(body, headers=_JSON)


def _refused(error: HEMError) -> JSONResponse:
    return JSONResponse(error_body(error), error.status, headers=_JSON)
