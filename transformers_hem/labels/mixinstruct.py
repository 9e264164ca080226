"""Labels from MixInstruct (LLM-Blender, arXiv 2306.02561): answers and scores that exist already.

Its rows have an instruction, an input, an output (the reference), and candidates, each with a
model, a text and scores. Rows that were compared in pairs have `cmp_results`, JSON in a string:
{"model,other model": "A is better" | "B is better" | "Same good" | "Same bad"}.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import orjson

from predictors.errors import ConfigurationError
from transformers_hem.training.rows import read_content, read_query, read_rows, require_new
from transformers_hem.training.writing import write_lines

COMPARISON: Final = "comparison"
_FIRST, _SECOND = "A is better", "B is better"
_TIES: Final = frozenset({"Same good", "Same bad"})


def convert(data: Path, out: Path, edge: str, cloud: str, score: str) -> tuple[int, int]:
    """Writes rows that `hem train` reads; how many, and how many had nothing to compare.

    `edge` and `cloud` are models of the candidates. `score` is one of the candidates' scores,
    or `comparison`: the winner of the pair. Raises ConfigurationError with the row.
    """
    if edge == cloud:
        raise ConfigurationError(f"--edge and --cloud are the same model, {edge!r}")
    labels: list[bytes] = []
    skipped = 0
    seen: dict[object, int] = {}
    for number, row in _rows(data):
        require_new(row.get("id"), seen, data, number)
        label = _label(row, f"{data}, row {number}", edge, cloud, score)
        if label is None:
            skipped += 1
            continue
        query = "\n".join(t for name in ("instruction", "input") if (t := _text(row, name)))
        read_query({"query": query}, data, number)
        head = {"id": row.get("id"), "query": query, "reference": row.get("output")}
        given = {name: value for name, value in head.items() if value is not None}
        labels.append(orjson.dumps(given | label) + b"\n")
    if not labels:
        raise ConfigurationError(f"{data}: no row compares {edge!r} and {cloud!r}")
    write_lines(out, labels)
    return len(labels), skipped


def _rows(data: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Of one JSON array, as published, or of JSON Lines."""
    content = read_content(data)
    if not content.lstrip().startswith(b"["):
        yield from read_rows(data, content)
        return
    try:
        rows = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise ConfigurationError(f"{data}: not JSON: {error}") from None
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict):
            raise ConfigurationError(f"{data}, row {number}: must be a JSON object")
        yield number, row


def _label(
    row: dict[str, Any], where: str, edge: str, cloud: str, score: str
) -> dict[str, Any] | None:
    """Both answers and their label; None where the pair was not compared."""
    candidates = {
        candidate.get("model"): candidate
        for candidate in row.get("candidates") or ()
        if isinstance(candidate, dict)
    }
    for model in (edge, cloud):
        if model not in candidates:
            known = ", ".join(sorted(map(str, candidates))) or "none"
            raise ConfigurationError(f"{where}: no candidate of model {model!r}; models: {known}")
    answers = {
        "edge_answer": candidates[edge].get("text"),
        "cloud_answer": candidates[cloud].get("text"),
    }
    if score != COMPARISON:
        scores = {
            "edge_score": _score(candidates[edge], score, where),
            "cloud_score": _score(candidates[cloud], score, where),
        }
        return answers | scores
    winner = _winner(row.get("cmp_results"), where, edge, cloud)
    return None if winner is None else answers | {"winner": winner}


def _score(candidate: dict[str, Any], name: str, where: str) -> float:
    scores = candidate.get("scores") or {}
    value = scores.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool):
        known = ", ".join(sorted([*scores, COMPARISON]))
        raise ConfigurationError(
            f"{where}: {candidate.get('model')!r} has no score {name!r}; --scorer may be: {known}"
        )
    return float(value)


def _winner(results: Any, where: str, edge: str, cloud: str) -> str | None:
    if not results:
        return None
    try:
        verdicts = orjson.loads(results) if isinstance(results, str) else dict(results)
    except (orjson.JSONDecodeError, TypeError, ValueError):
        raise ConfigurationError(f"{where}: 'cmp_results' is not an object of verdicts") from None
    straight, crossed = verdicts.get(f"{edge},{cloud}"), verdicts.get(f"{cloud},{edge}")
    verdict = straight or crossed
    if verdict is None:
        return None
    if verdict in _TIES:
        return "tie"
    if verdict not in (_FIRST, _SECOND):
        raise ConfigurationError(f"{where}: {verdict!r} is no verdict of a comparison")
    return "edge" if (verdict == _FIRST) == (straight is not None) else "cloud"


def _text(row: dict[str, Any], name: str) -> str:
    value = row.get(name)
    return value.strip() if isinstance(value, str) else ""
