"""The log: queries with the cloud's answers, as `hem import` writes them."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from predictors.contract import CLOUD, is_number
from predictors.contract.openai.errors import InvalidField
from predictors.contract.openai.messages import last_query, parse_messages
from predictors.contract.usage import Usage
from predictors.errors import ConfigurationError
from predictors.jsonl import read_content, read_rows, require_new
from transformers_hem.labels.question import Question, read_question
from transformers_hem.labels.scorers.base import ReferenceScorer, Scorer


@dataclass(frozen=True, slots=True)
class LoggedRow:
    """`messages`: the whole conversation, where it is more than the query. Of the cloud's call:
    `usage`, `cost` in whatever currency, `latency` in seconds, and its `model`, as far as known."""

    question: Question
    messages: Sequence[Mapping[str, Any]] = ()
    usage: Usage | None = None
    cost: float | None = None
    latency: float | None = None
    model: str | None = None

    @property
    def cloud_answer(self) -> str:
        return self.question.answers[CLOUD].text


@dataclass(frozen=True, slots=True)
class LeftOut:
    """`where` names file and line."""

    where: str
    reason: str


@dataclass(frozen=True, slots=True)
class Log:
    """`agreement`: answers are compared with the cloud's, as nobody says which ones are right.
    `sha256` is of the file's uncompressed content."""

    path: Path
    rows: list[LoggedRow]
    left_out: list[LeftOut]
    agreement: bool
    sha256: str


def read_log(path: Path, scorer: Scorer, name: str, agreement: bool = False) -> Log:
    """Rows that can't be part of an estimate are left out, and named in `left_out`: those without
    an answer of the cloud, with one that was cut off, with a query that an earlier row has, and
    those that the scorer called `name` can't judge.

    Raises ConfigurationError with the line for what is no row at all, where some rows have a
    reference and others have none, and where nothing is left.
    """
    content = read_content(path)
    rows: list[LoggedRow] = []
    left_out: list[LeftOut] = []
    names: dict[object, int] = {}
    queries: dict[str, int] = {}
    for number, row in read_rows(path, content):
        where = f"{path}, line {number}"
        require_new(row.get("id"), names, path, number)
        try:
            logged = _logged(row, where)
            _require_new_query(logged, queries, number)
        except _Unusable as reason:
            left_out.append(LeftOut(where, str(reason)))
        else:
            rows.append(logged)
    agreement = agreement or not any(row.question.references for row in rows)
    rows = _scorable(rows, scorer, name, agreement, left_out)
    if not rows:
        raise ConfigurationError(
            f"{path}: none of its {len(left_out)} rows can be used; the first: "
            f"{left_out[0].where}: {left_out[0].reason}"
        )
    return Log(path, rows, left_out, agreement, hashlib.sha256(content).hexdigest())


def drawn(log: Log, limit: int | None, seed: int) -> list[LoggedRow]:
    """The rows in random order, at most `limit` of them."""
    order = np.random.default_rng(seed).permutation(len(log.rows))
    return [log.rows[index] for index in order[:limit]]


class _Unusable(ValueError):
    """Why a row is left out."""


def _logged(row: dict[str, Any], where: str) -> LoggedRow:
    """Raises _Unusable; ConfigurationError."""
    answer = row.get("cloud_answer")
    if answer is None or (isinstance(answer, str) and not answer.strip()):
        raise _Unusable("no answer of the cloud ('cloud_answer')")
    if row.get("truncated") or row.get("cloud_truncated"):
        raise _Unusable("an answer was cut off ('truncated'): how good it was is unknown")
    messages = _messages(row, where)
    if messages and not isinstance(row.get("query"), str):
        row = {**row, "query": last_query(parse_messages(messages, text_alone=False))}
    question = read_question(row, where)
    if messages:
        whole = hashlib.sha256(repr(messages).encode()).hexdigest()[:8]
        question = replace(question, fingerprint=f"{question.fingerprint}-{whole}")
    return LoggedRow(
        question,
        messages if len(messages) > 1 else (),
        _usage(question),
        _amount(row, "cloud_cost", where),
        _latency(row, question, where),
        row.get("cloud_model") if isinstance(row.get("cloud_model"), str) else None,
    )


def _messages(row: Mapping[str, Any], where: str) -> list[dict[str, Any]]:
    """Raises _Unusable for those with more than text, which the edge can't be asked as V2."""
    messages = row.get("messages")
    if messages is None:
        return []
    try:
        parse_messages(messages)
    except InvalidField as error:
        raise _Unusable(f"{error}") from None
    return list(messages)


def _require_new_query(row: LoggedRow, seen: dict[str, int], number: int) -> None:
    """A query that comes again says nothing new: it may not be learned from and tested on."""
    text = repr(row.messages) if row.messages else row.question.query.strip()
    if (first := seen.setdefault(text, number)) != number:
        raise _Unusable(f"the same query as line {first}")


def _scorable(
    rows: Sequence[LoggedRow], scorer: Scorer, name: str, agreement: bool, left_out: list[LeftOut]
) -> list[LoggedRow]:
    lacking = [row for row in rows if not row.question.references]
    if scorer.needs_reference and lacking and not agreement:
        raise ConfigurationError(
            f"{lacking[0].question.where}: no reference, and {len(rows) - len(lacking)} of "
            f"{len(rows)} rows have one: --agreement compares all with the cloud's answer instead"
        )
    usable = []
    for row in rows:
        if agreement and isinstance(scorer, ReferenceScorer):
            answer = row.cloud_answer
            row = replace(
                row, question=replace(row.question, reference=answer, references=(answer,))
            )
        try:
            scorer.check(row.question)
            if agreement and not scorer.reads(row.question, row.cloud_answer):
                raise ValueError("it finds no answer in the cloud's text to agree with")
        except ValueError as error:
            left_out.append(LeftOut(row.question.where, f"{name}: {error}"))
        else:
            usable.append(row)
    return usable


def _usage(question: Question) -> Usage | None:
    answer = question.answers[CLOUD]
    if answer.prompt_tokens is None or answer.completion_tokens is None:
        return None
    return Usage(answer.prompt_tokens, 0, answer.completion_tokens)


def _amount(row: Mapping[str, Any], name: str, where: str) -> float | None:
    value = row.get(name)
    if value is not None and not (is_number(value) and value >= 0):
        raise ConfigurationError(f"{where}: '{name}' must be a number from 0, not {value!r:.80}")
    return value


def _latency(row: Mapping[str, Any], question: Question, where: str) -> float | None:
    """Of the whole call; from the telemetry of its tokens where the log has no more."""
    if (seconds := _amount(row, "cloud_latency", where)) is not None:
        return seconds
    answer = question.answers[CLOUD]
    if answer.time_to_first_token is None or answer.inter_token_latency is None:
        return None
    return answer.time_to_first_token + answer.inter_token_latency * max(
        (answer.completion_tokens or 1) - 1, 0
    )
