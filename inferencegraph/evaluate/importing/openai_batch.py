"""OpenAI's Batch API: its input files, and its output files joined with them by `custom_id`
(https://platform.openai.com/docs/guides/batch).

An input line is {"custom_id", "method", "url", "body"}, an output line {"id", "custom_id",
"response": {"status_code", "body"}, "error"}; answers come in any order. Requests without an
answer become rows without one. Which file is which is seen by their lines.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from inferencegraph.evaluate.importing.chats import chat_row
from inferencegraph.evaluate.importing.files import json_records
from inferencegraph.evaluate.importing.importer import JSON_NAMES, Importer, files_of
from inferencegraph.evaluate.importing.index import Index
from inferencegraph.evaluate.importing.report import LeftOut, Place, Report
from inferencegraph.evaluate.importing.rows import Row
from predictors.errors import ConfigurationError


class OpenAIBatch(Importer):
    def rows(self, paths: Sequence[Path]) -> Iterator[tuple[Place, Row]]:
        files = list(files_of(paths, JSON_NAMES))
        inputs = [path for path in files if _is_input(path)]
        outputs = [path for path in files if path not in inputs]
        if not inputs:
            raise ConfigurationError(
                f"{files[0]}: answers of a batch alone, without its questions; name the batch's "
                "input file, too"
            )
        with Index.open(self.reading.scratch) as answers:
            for path in outputs:
                for place, record in json_records(path, self.report, self.reading.on_read):
                    try:
                        answers.add(_custom_id(record), place, record)
                    except LeftOut as fault:
                        self.report.leave_out(place, fault)
            answers.close()
            for path in inputs:
                yield from self._asked(path, answers)
            for place in answers.never_asked():
                self.report.note(place, "with an answer whose question is in no input file")

    def _asked(self, path: Path, answers: Index) -> Iterator[tuple[Place, Row]]:
        for place, record in json_records(path, self.report, self.reading.on_read):
            self.report.read += 1
            try:
                name = _custom_id(record)
                row = self._row(record, answers.get(name), place)
            except LeftOut as fault:
                self.report.leave_out(place, fault)
            else:
                yield place, row | {"id": name}

    def _row(self, record: dict[str, Any], found: list[tuple[Place, Any]], place: Place) -> Row:
        request = record.get("body")
        if not isinstance(request, dict):
            raise LeftOut("no body of a request")
        body = None
        for there, answer in found:
            response = answer.get("response")
            if isinstance(response, dict) and response.get("status_code") in (200, "200", None):
                body = response.get("body")
            else:
                self.report.note(there, "with a request that failed", _error(answer))
        if not found:
            self.report.note(place, "without an answer in the output files")
        return chat_row(request, body, self.pair, self.reading.keep_system, place, self.report)


def _is_input(path: Path) -> bool:
    """By its first object."""
    for _, record in json_records(path, Report()):
        return "body" in record
    return False


def _custom_id(record: dict[str, Any]) -> str:
    name = record.get("custom_id")
    if not isinstance(name, str) or not name:
        raise LeftOut("no custom_id")
    return name


def _error(answer: dict[str, Any]) -> str:
    error = answer.get("error")
    if isinstance(error, dict):
        return str(error.get("message") or error.get("code") or "")
    response = answer.get("response")
    return f"status {response.get('status_code')}" if isinstance(response, dict) else ""
