"""Chats as OpenAI's API, its fine-tuning and its stored completions have them.

A line, or an element of an array, is one of

- {"messages": [...]}: files for fine-tuning; an assistant's message at the end is the answer
  (https://platform.openai.com/docs/guides/supervised-fine-tuning);
- {"request": {...}, "response": {...}}: the two bodies, as proxies log them;
- a chat completion with `messages` beside its `choices`: stored completions with their messages
  (https://platform.openai.com/docs/api-reference/chat/list), also inside a list's `data`.
"""

from typing import Any

from inferencegraph.evaluate.importing.chats import chat_row
from inferencegraph.evaluate.importing.importer import RecordImporter
from inferencegraph.evaluate.importing.report import Place
from inferencegraph.evaluate.importing.rows import Row


class OpenAIChat(RecordImporter):
    def row(self, record: dict[str, Any], place: Place) -> Row:
        request, response = record.get("request"), record.get("response")
        if not isinstance(request, dict):
            request = record
        if not isinstance(response, dict):
            response = record
        body = response.get("body")
        if isinstance(body, dict):
            response = body
        row = chat_row(request, response, self.pair, self.reading.keep_system, place, self.report)
        row["id"] = record.get("id") or response.get("id")
        return row
