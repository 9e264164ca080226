"""LLMRouter's scores by query and model (https://github.com/ulab-uiuc/LLMRouter): routing data, a
line {"task_name", "query", "ground_truth", "metric", "model_name", "response", "performance",
"input_tokens", "output_tokens", "response_time"} for each query and model, which are joined by
task and query; or a line {"id", "query", "scores": {MODEL: 0 to 1}} for each query."""

from typing import Any, Final

from inferencegraph.evaluate.importing.grouped import Grouped
from inferencegraph.evaluate.importing.report import LeftOut
from inferencegraph.evaluate.importing.rows import (
    Row,
    amount,
    compared,
    count,
    known_fields,
    number,
    text,
)

_SCORERS: Final = {"em_mc": "multiple_choice", "gsm8k": "numeric", "f1_score": "token_f1"}


class LLMRouter(Grouped):
    def whole(self, record: dict[str, Any]) -> Row | None:
        scores = record.get("scores")
        if not isinstance(scores, dict):
            return None
        models = {name: {"score": s} for name, v in scores.items() if (s := number(v)) is not None}
        if not models:
            raise LeftOut("no score")
        row = {"query": record.get("query")} | known_fields(
            id=record.get("id"), category=text(record.get("task_name"))
        )
        return row | compared(self.pair, models)

    def key(self, record: dict[str, Any]) -> str:
        query = record.get("query")
        if not isinstance(query, str):
            raise LeftOut("no query")
        return f"{record.get('task_name')}\n{query}"

    def head(self, record: dict[str, Any]) -> Row:
        metric, truth = record.get("metric"), record.get("ground_truth")
        return {"query": record["query"]} | known_fields(
            reference=text(truth) if isinstance(truth, str) else number(truth),
            scorer=_SCORERS.get(metric) if isinstance(metric, str) else None,
            category=text(record.get("task_name")),
        )

    def model(self, record: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        name, score = text(record.get("model_name")), number(record.get("performance"))
        if name is None:
            raise LeftOut("no model_name")
        if score is None:
            raise LeftOut("no performance", name)
        return name, {"score": score} | known_fields(
            answer=text(record.get("response")),
            prompt_tokens=count(record.get("input_tokens")),
            completion_tokens=count(record.get("output_tokens")),
            latency=amount(record.get("response_time")),
        )
