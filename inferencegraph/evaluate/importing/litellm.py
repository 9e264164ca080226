"""LiteLLM's spend logs (https://github.com/BerriAI/litellm, model LiteLLM_SpendLogs of
litellm/proxy/schema.prisma), as JSON Lines, as a JSON array of /spend/logs, or as a CSV export
of the table.

The proxy keeps messages and answers where `store_prompts_in_spend_logs` is set; newer ones keep
the messages in `proxy_server_request`. The model's name is its public one, `model_group`.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import orjson

from inferencegraph.evaluate.importing.chats import NO_TEXT, completion, conversation
from inferencegraph.evaluate.importing.files import csv_records
from inferencegraph.evaluate.importing.importer import JSON_NAMES, RecordImporter
from inferencegraph.evaluate.importing.report import LeftOut, Place
from inferencegraph.evaluate.importing.rows import Row, amount, count, known_fields, of_side, text
from inferencegraph.evaluate.importing.times import seconds_between, unix_seconds

_COLUMNS: Final = ("request_id", "model", "startTime", "endTime", "messages")
_CUT: Final = "litellm_truncated"  # what the proxy writes into a text that it shortened
_CHATS: Final = ("completion", "acompletion", "")


class LiteLLM(RecordImporter):
    names = (*JSON_NAMES, ".csv", ".csv.gz")

    def records(self, path: Path) -> Iterator[tuple[Place, Any]]:
        if path.name.endswith((".csv", ".csv.gz")):
            return csv_records(path, _COLUMNS, self.report, self.reading.on_read)
        return super().records(path)

    def row(self, record: Mapping[str, Any], place: Place) -> Row:
        if record.get("status") == "failure":
            raise LeftOut("a request that failed")
        call = record.get("call_type") or ""
        if call not in _CHATS:
            raise LeftOut("a call that is no chat", f"call_type {call!r}")
        asked = conversation(_messages(record), self.reading.keep_system)
        if _CUT in asked.query:
            raise LeftOut("a query that the proxy shortened")
        answered = completion(_json(record.get("response")))
        public, model = text(record.get("model_group")), text(record.get("model"))
        side = self.pair.side_of(name for name in (public, model) if name)
        answer = asked.answer if answered is None else answered.text
        if answer is not None and (not answer.strip() or _CUT in answer):
            self.report.note(place, NO_TEXT if _CUT not in answer else "with a shortened answer")
            answer = None
        began, ended = record.get("startTime"), record.get("endTime")
        duration = amount(record.get("request_duration_ms"))
        first = seconds_between(began, record.get("completionStartTime"))
        whole = seconds_between(began, ended) if duration is None else duration / 1000
        if first is not None and (whole is None or first >= whole):
            first = None  # an answer that came at once
        row = {"id": record.get("request_id")} | asked.fields()
        row |= of_side(
            side,
            answer=answer,
            model=public or model,
            prompt_tokens=count(record.get("prompt_tokens")),
            completion_tokens=count(record.get("completion_tokens")),
            time_to_first_token=first,
            latency=whole,
            cost=amount(record.get("spend")),
        )
        truncated = answered is not None and answered.truncated
        return row | known_fields(truncated=truncated or None, time=unix_seconds(began))


def _messages(record: Mapping[str, Any]) -> Any:
    """Raises LeftOut where the proxy kept none."""
    messages = _json(record.get("messages"))
    if not messages:
        request = _json(record.get("proxy_server_request"))
        messages = request.get("messages") if isinstance(request, dict) else None
    if not messages:
        raise LeftOut("no messages", "set store_prompts_in_spend_logs: true in LiteLLM's settings")
    return messages


def _json(value: object) -> Any:
    """What a column of JSON holds, which an export may have as text."""
    if not isinstance(value, str):
        return value
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        return None
