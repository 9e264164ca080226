"""Replay records of vLLM's Semantic Router (https://github.com/vllm-project/semantic-router, type
Record of src/semantic-router/pkg/routerreplay/store/store.go): an object for each request, in
JSON Lines, in an array, or in the `data` of the list that its API returns.

The bodies are those of OpenAI's API, as text, where `request_body` and `response_body` are
captured; they may be cut, and then the whole query is in `prompt`. The model that was selected
answered.
"""

from typing import Any, Final

import orjson

from inferencegraph.evaluate.importing.chats import NO_TEXT, Conversation, completion, conversation
from inferencegraph.evaluate.importing.importer import RecordImporter
from inferencegraph.evaluate.importing.report import LeftOut, Place
from inferencegraph.evaluate.importing.rows import (
    Row,
    amount,
    count,
    known_fields,
    number,
    of_side,
    text,
)
from inferencegraph.evaluate.importing.times import unix_seconds
from predictors.contract.chat import USER

_FAILED: Final = ("failed", "aborted")


class SemanticRouter(RecordImporter):
    def row(self, record: dict[str, Any], place: Place) -> Row:
        status = number(record.get("response_status"))
        if record.get("lifecycle_state") in _FAILED or (status is not None and status >= 400):
            raise LeftOut("a request that failed")
        asked = self._asked(record)
        side = self.pair.side_of((record.get("selected_model"),))
        row = {"id": record.get("id")} | asked.fields()
        answered = completion(_json(record.get("response_body")))
        answer = None if answered is None else text(answered.text)
        if answered is not None and answer is None:
            self.report.note(place, NO_TEXT)
        elif answered is None and record.get("response_body"):
            self.report.note(place, "with an answer that is cut, or is no JSON")
        duration = amount(record.get("duration_ms"))
        row |= of_side(
            side,
            answer=answer,
            model=text(record.get("selected_model")),
            prompt_tokens=count(record.get("prompt_tokens")),
            completion_tokens=count(record.get("completion_tokens")),
            latency=None if duration is None else duration / 1000,
            cost=amount(record.get("actual_cost")),
        )
        truncated = record.get("response_body_truncated") is True
        truncated = truncated or (answered is not None and answered.truncated)
        return row | known_fields(
            category=text(record.get("category")),
            truncated=truncated or None,
            time=unix_seconds(record.get("timestamp")),
        )

    def _asked(self, record: dict[str, Any]) -> Conversation:
        body = _json(record.get("request_body"))
        if isinstance(body, dict):
            return conversation(body.get("messages"), self.reading.keep_system)
        prompt = text(record.get("prompt"))
        if prompt is None:
            raise LeftOut("no request", "the router has to capture the bodies of requests")
        if record.get("prompt_truncated") is True:
            raise LeftOut("a query that the router cut")
        return Conversation(prompt, [{"role": USER, "content": prompt}], None)


def _json(value: object) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        return None
