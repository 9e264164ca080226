"""Feedback of one server, from its settings; nothing heavy is imported where it is off."""

from typing import TYPE_CHECKING, Final

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response

from predictors.errors import ConfigurationError
from transformers_hem.feedback.place import read_place, require_installed
from transformers_hem.reload.in_force import Current
from transformers_hem.serving.settings import HEMSettings

if TYPE_CHECKING:
    from transformers_hem.feedback.collecting import Collecting

PATH: Final = "/feedback"


def build_feedback(settings: HEMSettings, current: Current) -> "Collecting | None":
    """None where it is off. Raises ConfigurationError."""
    if not settings.feedback_store:
        return None
    place = read_place(settings.feedback_store)
    require_installed(place)
    if settings.feedback_push and not place.is_file:
        raise ConfigurationError(
            "HEM_FEEDBACK_PUSH is set, and the store is PostgreSQL: only a file is sent on"
        )
    from transformers_hem.feedback.collecting import Collecting

    return Collecting(settings, place, current)


def add_refusal(app: FastAPI) -> None:
    """Says what is missing, where there is no store."""

    async def off(request: Request) -> Response:
        error = "no feedback is kept here: set HEM_FEEDBACK_STORE to a file, or to PostgreSQL's URL"
        return JSONResponse({"error": error}, 404)

    app.add_api_route(PATH, off, methods=["POST"], include_in_schema=False)
