"""Numeric answers, GSM8K style: the number that an answer ends on equals the reference's."""

import math
import re
from typing import Final

from pydantic import Field

from transformers_hem.labels.question import Question
from transformers_hem.labels.scorers.base import ReferenceScorer, ScorerOptions
from transformers_hem.labels.scorers.plain_text import final

_AMOUNT: Final = r"(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|\.\d+"
# A minus after a digit or a bracket is an operator.
_NUMBER: Final = re.compile(
    rf"(?P<sign>(?<![\w.)])-)?(?P<amount>{_AMOUNT})(?:[eE](?P<power>[+-]?\d{{1,3}})(?!\w))?"
    r"(?:[ \t](?P<part>\d{1,4})/(?P<of>\d{1,4})(?![\d./])"
    r"|\s?/\s?(?P<divisor>\d+(?:\.\d+)?)(?!\d))?"
)
_MARKED: Final = re.compile(r"####([^\n]*)")
_BOXED: Final = re.compile(r"\bboxed\s*\{([^{}]*)\}")
_STATED: Final = re.compile(r"\banswer\b(?:\s+(?:is|was|equals)\b|\s*[:=])([^\n]{0,120})", re.I)
# Where another statement may begin: what is denied ends there, and a reason that follows.
_CLAUSE: Final = re.compile(
    r"[.!?,](?=\s|$)|[;(]|\b(?:because|since|which|but|rather|instead)\b", re.I
)
_DENIED: Final = re.compile(r"\s*not\b", re.I)
_EQUALS: Final = re.compile(r"==?|\u2248|\bapprox\b")
_OPERATOR: Final = re.compile(
    r"\s?(?:[-+\u00d7\u00f7^/]|x|(?:times|cdot|plus|minus)\b)\s?[\d.(-]", re.I
)
_TIMES: Final = re.compile(r"(?<=[\w)])\*(?=[\d.(])|(?<=\s)\*(?=\s)")
_THOUSANDS: Final = re.compile(r"(?<![\w.,/])[1-9]\d{0,2}(?:[ '\u2019]\d{3}(?![\d/]))+")
_DATE: Final = re.compile(r"(\d)/(\d{1,4})/(?=\d)")
_DROPPED: Final = re.compile(r"\\[!,;]|[$€£¥*_`\\]")


class NumericOptions(ScorerOptions):
    tolerance: float = Field(1e-4, ge=0, description="relative to the reference")


class Numeric(ReferenceScorer):
    """Signs of currency, thousands' commas, percent signs and units around the number are not
    looked at: "$1,234.50", "1234.5 dollars" and "1,234.50" are equal, and so are 50% and 50."""

    graded = False
    Options = NumericOptions
    options: NumericOptions

    def check(self, question: Question) -> None:
        for reference in question.references:
            if final_number(reference) is None:
                raise ValueError(f"reference {reference[:80]!r} has no number")

    def against(self, answer: str, reference: str, question: Question) -> float:
        given, expected = final_number(answer), final_number(reference)
        if given is None or expected is None:
            return 0.0
        return float(math.isclose(given, expected, rel_tol=self.options.tolerance, abs_tol=1e-9))


def final_number(text: str) -> float | None:
    r"""The number that `text` ends on: after the last "####", in the last \boxed{}, after the last
    "answer is", else the last number of all; None where there is none."""
    text = _unmarked(final(text))
    for pattern in (_MARKED, _BOXED, _STATED):
        stated = [value for part in pattern.findall(text) if (value := _result(part))]
        if stated:
            return _value(stated[-1])
    numbers = list(_NUMBER.finditer(text))
    return _value(numbers[-1]) if numbers else None


def _result(statement: str) -> re.Match[str] | None:
    """The 5 of "2 + 3 = 5 apples, because ..." and of "not 4 but 5"."""
    for clause in _CLAUSE.split(statement):
        if _DENIED.match(clause):
            continue
        numbers = [number for side in _EQUALS.split(clause) if (number := _NUMBER.search(side))]
        if numbers:
            results = [
                number for number in numbers if not _OPERATOR.match(number.string, number.end())
            ]
            return (results or numbers)[-1]
    return None


def _unmarked(text: str) -> str:
    """Without markup and currency, and without the blanks of 12 000; dates as three numbers."""
    text = text.replace("{,}", ",").replace("$", "")
    text = _DROPPED.sub("", _TIMES.sub("\N{MULTIPLICATION SIGN}", text))
    text = _THOUSANDS.sub(lambda number: re.sub(r"\D", "", number[0]), text)
    return _DATE.sub(r"\1 \2 ", text)


def _value(number: re.Match[str]) -> float | None:
    """Infinite values and divisions by zero are no numbers."""
    amount = number["amount"].replace(",", "")
    value = float(f"{amount}e{number['power'] or 0}")
    divisor = float(number["divisor"] or number["of"] or 1)
    if not divisor or not math.isfinite(value):
        return None
    value = value + int(number["part"]) / divisor if number["part"] else value / divisor
    return -value if number["sign"] else value
