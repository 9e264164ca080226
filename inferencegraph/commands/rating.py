"""What somebody in `hem chat` says of the last answer, and how it is sent as feedback."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from predictors.errors import HEMError, InvalidRequest, UpstreamError

UP, DOWN, RIGHT = "/up", "/down", "/right"
HELP: Final = f"{UP} or {DOWN} rates the last answer, {RIGHT} ANSWER gives the right one"
_STATES: Final = {
    "new": "kept",
    "duplicate": "there already",
    "replaces": "kept, in place of what you said before",
}
_NO_SUCH_PATH: Final = (404, 405)
_SECONDS: Final = 2.0  # that a hint is worth waiting for


def read_rating(line: str, answer: str) -> dict[str, Any] | None:
    """What a line says of this answer, as POST /feedback takes it; None where it is no such
    command. Raises InvalidRequest."""
    command, _, rest = line.partition(" ")
    rest = rest.strip()
    if command in (UP, DOWN):
        if rest:
            raise InvalidRequest(f"{command} stands alone; {RIGHT} ANSWER gives the right answer")
        return {"thumbs": command.removeprefix("/")}
    if command != RIGHT:
        return None
    if not rest:
        raise InvalidRequest(f"{RIGHT} needs the right answer behind it: {RIGHT} 432")
    return {"correct": True} if rest == answer.strip() else {"answer": rest}


async def keeps_feedback(url: str, key: str) -> bool:
    """Whether the server says so, soon."""
    from transformers_hem.feedback.client import FeedbackClient

    try:
        async with asyncio.timeout(_SECONDS), FeedbackClient(url, key) as client:
            return await client.is_there()
    except (TimeoutError, HEMError):
        return False


async def send_rating(url: str, key: str, request_id: str | None, said: Mapping[str, Any]) -> str:
    """A line about what became of it. Raises HEMError."""
    if request_id is None:
        raise InvalidRequest("there is no whole answer yet to say that of")
    from transformers_hem.feedback.client import FeedbackClient

    try:
        async with FeedbackClient(url, key) as client:
            told = (await client.send([{"request_id": request_id, **said}])).get("feedback")
    except UpstreamError as error:
        if error.answered not in _NO_SUCH_PATH:
            raise
        told = None
    if not told:  # another server may answer anything
        raise InvalidRequest("this server keeps no feedback: HEM_FEEDBACK_STORE names a store")
    (each,) = told
    waits = "" if each["known"] else "; it counts once the server knows of the answer"
    return f"{_STATES[each['state']]}{waits}"
