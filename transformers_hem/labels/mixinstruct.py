"""Labels from MixInstruct (LLM-Blender, arXiv 2306.02561): answers and scores that exist already.

Its rows have an instruction, an input, an output (the reference), and candidates, each with a
model, a text and scores. Rows that were compared in pairs have `cmp_results`, JSON in a string:
{"model,other model": "A is better" | "B is better" | "Same good" | "Same bad"}. Of a pair that was
compared in both orders both verdicts count: where they contradict each other it is a tie.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, TypeVar

import orjson

from predictors.contract import is_number
from predictors.errors import ConfigurationError, known
from predictors.jsonl import read_content, read_query, read_rows, require_new, write_lines

COMPARISON: Final = "comparison"
# What a verdict says for the model that is named first.
_VERDICTS: Final = {"A is better": 1, "B is better": -1, "Same good": 0, "Same bad": 0}

_KINDS: Final[dict[type, str]] = {list: "a list", dict: "an object", str: "a string"}

Kind = TypeVar("Kind")


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
        label = label_of(row, f"{data}, row {number}", edge, cloud, score)
        if label is None:
            skipped += 1
            continue
        query = query_of(row)
        read_query({"query": query}, f"{data}, row {number}")
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


def query_of(row: dict[str, Any]) -> str:
    """The instruction, and the input on a line behind it; empty where a row has neither."""
    return "\n".join(t for name in ("instruction", "input") if (t := _text(row, name)))


def label_of(
    row: dict[str, Any], where: str, edge: str, cloud: str, score: str
) -> dict[str, Any] | None:
    """Both answers and their label; None where the pair was not compared. Raises ConfigurationError
    that begins with `where`."""
    candidates = _candidates(row, where)
    for model in (edge, cloud):
        if model not in candidates:
            raise ConfigurationError(
                f"{where}: no candidate of model {model!r}; {known(model, candidates)}"
            )
    answers = {
        "edge_answer": _field(candidates[edge], "text", str, where),
        "cloud_answer": _field(candidates[cloud], "text", str, where),
    }
    if score != COMPARISON:
        scores = {
            "edge_score": _score(candidates[edge], score, where),
            "cloud_score": _score(candidates[cloud], score, where),
        }
        return answers | scores
    winner = _winner(row.get("cmp_results"), where, edge, cloud)
    return None if winner is None else answers | {"winner": winner}


def _candidates(row: dict[str, Any], where: str) -> dict[str, dict[str, Any]]:
    """By model."""
    candidates: dict[str, dict[str, Any]] = {}
    for candidate in _field(row, "candidates", list, where) or ():
        if not isinstance(candidate, dict):
            raise _wrong(where, "candidates", "a list of objects", candidate)
        model = _field(candidate, "model", str, where)
        if model is not None:
            candidates[model] = candidate
    return candidates


def _score(candidate: dict[str, Any], name: str, where: str) -> float:
    scores: dict[str, Any] = _field(candidate, "scores", dict, where) or {}
    value: Any = scores.get(name)
    if not is_number(value):
        raise ConfigurationError(
            f"{where}: {candidate.get('model')!r} has no score {name!r} for --scorer; "
            + known(name, [*scores, COMPARISON])
        )
    return float(value)


def _winner(results: Any, where: str, edge: str, cloud: str) -> str | None:
    if not results:
        return None
    try:
        verdicts = orjson.loads(results) if isinstance(results, str) else results
    except orjson.JSONDecodeError:
        verdicts = None
    if not isinstance(verdicts, dict):
        raise _wrong(where, "cmp_results", "an object of verdicts", results)
    straight = _verdict(verdicts.get(f"{edge},{cloud}"), where)
    crossed = _verdict(verdicts.get(f"{cloud},{edge}"), where)
    if straight is None and crossed is None:
        return None
    for_edge = (straight or 0) - (crossed or 0)
    return "tie" if for_edge == 0 else "edge" if for_edge > 0 else "cloud"


def _verdict(verdict: Any, where: str) -> int | None:
    """None where the pair was not compared in this order."""
    if verdict is None or verdict == "":
        return None
    if not isinstance(verdict, str) or verdict not in _VERDICTS:
        raise ConfigurationError(
            f"{where}: 'cmp_results': {verdict!r:.80} is not a verdict of a comparison; known: "
            + ", ".join(_VERDICTS)
        )
    return _VERDICTS[verdict]


def _field(holder: dict[str, Any], name: str, kind: type[Kind], where: str) -> Kind | None:
    """None where it is missing. Raises ConfigurationError for a value of another kind."""
    value = holder.get(name)
    if value is None or isinstance(value, kind):
        return value
    raise _wrong(where, name, _KINDS[kind], value)


def _wrong(where: str, name: str, kind: str, value: Any) -> ConfigurationError:
    return ConfigurationError(f"{where}: {name!r} must be {kind}, not {value!r:.80}")


def _text(row: dict[str, Any], name: str) -> str:
    value = row.get(name)
    return value.strip() if isinstance(value, str) else ""
