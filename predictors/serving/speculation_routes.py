"""The verify side of speculative decoding: rounds of other predictors' drafts."""

from collections.abc import Callable

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from predictors.contract.speculation import MODEL_PATH, PATH, Round
from predictors.engines.base import DraftChecker
from predictors.errors import HEMError, InvalidRequest
from predictors.serving.direct import add_posts


class SpeculationRoutes:
    """`name` is the model's. `check_ready` raises NotReady."""

    def __init__(self, name: str, engine: DraftChecker, check_ready: Callable[[], None]) -> None:
        self._name = name
        self._engine = engine
        self._check_ready = check_ready

    def add_to(self, app: FastAPI) -> None:
        app.add_api_route(MODEL_PATH, self.model, methods=["GET"])
        add_posts(app, {PATH: self.round}, {})

    async def model(self, request: Request) -> Response:
        self._check_ready()
        said = self._engine.verify_model().model_copy(update={"name": self._name})
        return JSONResponse(said.model_dump(exclude_none=True))

    async def round(self, request: Request) -> Response:
        try:
            self._check_ready()
            round = Round.parse(_body(await request.body()))
            verdict = await self._engine.check(round)
        except HEMError as error:
            return JSONResponse({"error": str(error)}, error.status)
        return Response(verdict.to_json(round), media_type="application/json")


def _body(body: bytes) -> object:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"the round is not JSON: {error}") from None
