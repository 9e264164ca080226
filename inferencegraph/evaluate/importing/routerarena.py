"""RouterArena's recorded results (https://github.com/RouteWorks/RouterArena,
cached_results/MODEL.jsonl, arXiv 2510.00202): a file for each model, and in each line
{"global_index", "question", "llm_selected", "generated_answer", "token_usage": {"input_tokens",
"output_tokens"}, "success", "evaluation_result": {"ground_truth", "score", "metric",
"inference_cost"}}.

The files of several models are joined by `global_index`. The questions alone, as prepared for a
router, are {"global index", "prompt_formatted"}.
"""

from typing import Any, Final

from inferencegraph.evaluate.importing.grouped import Grouped
from inferencegraph.evaluate.importing.report import LeftOut
from inferencegraph.evaluate.importing.rows import Row, amount, count, known_fields, number, text

_SCORERS: Final = {"mcq_accuracy": "multiple_choice"}


class RouterArena(Grouped):
    def whole(self, record: dict[str, Any]) -> Row | None:
        if "prompt_formatted" not in record:
            return None
        name = record.get("global index", record.get("global_index"))
        row = {"id": name, "query": record["prompt_formatted"]}
        return row | known_fields(category=_category(name))

    def key(self, record: dict[str, Any]) -> str:
        name = record.get("global_index")
        if isinstance(name, bool) or not isinstance(name, str | int) or name == "":
            raise LeftOut("no global_index")
        return str(name)

    def head(self, record: dict[str, Any]) -> Row:
        result = _object(record.get("evaluation_result"))
        metric = result.get("metric")
        return {"id": record["global_index"], "query": record.get("question")} | known_fields(
            reference=text(result.get("ground_truth")),
            scorer=_SCORERS.get(metric) if isinstance(metric, str) else None,
            category=_category(record["global_index"]),
        )

    def model(self, record: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        name = text(record.get("llm_selected"))
        if name is None:
            raise LeftOut("no llm_selected")
        if record.get("success") is False:
            raise LeftOut("a call that failed", f"{name}: {record.get('error')}")
        result = _object(record.get("evaluation_result"))
        score = number(result.get("score"))
        if score is None:
            raise LeftOut("no score", name)
        usage = _object(record.get("token_usage"))
        return name, {"score": score} | known_fields(
            answer=text(record.get("generated_answer")),
            prompt_tokens=count(usage.get("input_tokens")),
            completion_tokens=count(usage.get("output_tokens")),
            cost=amount(result.get("inference_cost")),
        )


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _category(name: object) -> str | None:
    """An index is the data set's name and a number."""
    dataset = name.rpartition("_")[0] if isinstance(name, str) else ""
    return dataset or None
