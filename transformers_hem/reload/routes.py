"""What an admin may ask of a running HEM server.

POST /admin/reload   takes up what has changed now, and says what: 200, or 422 where a file is wrong
GET  /admin/config   says what is in force, without secrets

Both want the token of an admin; where no file of tokens is, and the server listens on this machine
alone, they want none.
"""

import asyncio
from typing import Final

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from transformers_hem.reload.reloading import Reloading
from transformers_hem.reload.shown import shown

RELOAD: Final = "/admin/reload"
CONFIG: Final = "/admin/config"
REFUSED: Final = 422


class AdminRoutes:
    def __init__(self, reloading: Reloading) -> None:
        self._reloading = reloading

    def add_to(self, app: FastAPI) -> None:
        app.add_api_route(RELOAD, self.reload, methods=["POST"])
        app.add_api_route(CONFIG, self.config, methods=["GET"])

    async def reload(self, request: Request) -> JSONResponse:
        """Raises HEMError."""
        self._check(request)
        report = await asyncio.to_thread(self._reloading.reload)
        return JSONResponse(report.as_json(), REFUSED if report.refused else 200)

    async def config(self, request: Request) -> JSONResponse:
        """Raises HEMError."""
        self._check(request)
        return JSONResponse(await asyncio.to_thread(shown, self._reloading))

    def _check(self, request: Request) -> None:
        self._reloading.current.now.keys.check_admin(request.headers)
