"""The beginnings of the edge's answers in labelled rows, for rules that decide on one.

A row has them in `edge_prefixes`, one for each number of tokens that was asked for: {"tokens": 16,
"mean_logprob", "min_logprob", "mean_margin", "text"}, without the signals that are unknown. To an
algorithm of the answer stage a prefix is an answer.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

from predictors.contract import row_telemetry
from predictors.contract.openai.fields import SIGNALS
from predictors.errors import ConfigurationError
from predictors.upstream.openai.choice import Choice
from predictors.upstream.openai.signals import PrefixSignals

PREFIXES: Final = "edge_prefixes"

Prefix: TypeAlias = Mapping[str, Any]
Row: TypeAlias = Mapping[str, Any]


def prefixes_of(choice: Choice, sizes: Sequence[int]) -> tuple[Prefix, ...]:
    """Of a whole answer, for each of `sizes` so many first tokens; all where it has fewer."""
    prefixes: list[Prefix] = []
    for size in sizes:
        first = PrefixSignals(size)
        first.add(choice)
        prefixes.append({"tokens": size, **first.signals(), "text": first.text})
    return tuple(prefixes)


def read_prefixes(row: Row, where: str) -> tuple[Prefix, ...]:
    """Those that a row brings along. Raises ConfigurationError that begins with `where`."""
    given = row.get(PREFIXES)
    if given is None:
        return ()
    if not isinstance(given, list) or not all(map(_is_prefix, given)):
        raise ConfigurationError(
            f"{where}: {PREFIXES!r} must be a list of objects with 'tokens' and 'text', "
            f"not {given!r:.80}"
        )
    for prefix in given:
        row_telemetry(prefix, f"{where}: {PREFIXES!r}", names=SIGNALS)
    return tuple(given)


def with_prefix(row: Row, tokens: int) -> dict[str, Any]:
    """The row as if the edge had said the first `tokens` tokens of its answer, and nothing more. A
    row without that prefix has neither an answer nor its signals."""
    prefix = _found(row, tokens) or {}
    signals = {f"edge_{name}": prefix.get(name) for name in SIGNALS}
    return {**row, "edge_answer": prefix.get("text"), **signals}


def lacks_prefix(row: Row, tokens: int) -> str:
    """That the row has no such prefix, with those that it has; empty where it has one."""
    if _found(row, tokens) is not None:
        return ""
    others = [str(prefix["tokens"]) for prefix in _given(row)]
    there = f", only of {', '.join(others)}" if others else ""
    return (
        f"no prefix of {tokens} tokens in {PREFIXES!r}{there}; `hem label --prefix-tokens "
        f"{tokens}` writes it"
    )


def of_the_first(tokens: int | None) -> str:
    """To stand behind what is read of an answer: whether it is read of its first tokens alone."""
    return "" if tokens is None else f" of the first {tokens} tokens"


def _found(row: Row, tokens: int) -> Prefix | None:
    return next((prefix for prefix in _given(row) if prefix["tokens"] == tokens), None)


def _given(row: Row) -> list[Prefix]:
    given = row.get(PREFIXES)
    return list(filter(_is_prefix, given)) if isinstance(given, list) else []


def _is_prefix(prefix: Any) -> bool:
    return (
        isinstance(prefix, dict)
        and type(prefix.get("tokens")) is int
        and prefix["tokens"] > 0
        and isinstance(prefix.get("text"), str)
    )
