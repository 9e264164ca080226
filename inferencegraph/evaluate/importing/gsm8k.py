"""GSM8K as published (https://github.com/openai/grade-school-math, arXiv 2110.14168): JSON Lines
{"question", "answer"}, where the answer ends in "#### " and a number. The number is the reference.
"""

import re
from typing import Any, Final

from inferencegraph.evaluate.importing.importer import RecordImporter
from inferencegraph.evaluate.importing.report import LeftOut, Place
from inferencegraph.evaluate.importing.rows import Row, text

_FINAL: Final = re.compile(r"####\s*(-?[0-9][0-9.,]*)\s*$")


class GSM8K(RecordImporter):
    def row(self, record: dict[str, Any], place: Place) -> Row:
        question, answer = text(record.get("question")), text(record.get("answer"))
        if question is None or answer is None:
            missing = "question" if question is None else "answer"
            raise LeftOut("missing fields", f"no {missing!r}")
        final = _FINAL.search(answer)
        if final is None:
            raise LeftOut("no number behind '####' at the end of the answer")
        reference = final[1].replace(",", "").rstrip(".")
        return {"query": question, "reference": reference, "scorer": "numeric"}
