"""Numeric answers, GSM8K style: the number that an answer ends on equals the reference's."""

import math
import re
from typing import Final

from pydantic import Field

from transformers_hem.labels.question import Question
from transformers_hem.labels.scorers.base import ReferenceScorer, ScorerOptions

_AMOUNT: Final = r"(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|\.\d+"
# A minus after a digit or a bracket is an operator.
_NUMBER: Final = re.compile(
    rf"(?P<sign>(?<![\w.)])-)?(?P<amount>{_AMOUNT})(?:[eE](?P<power>[+-]?\d{{1,3}})(?!\w))?"
    r"(?:\s?/\s?(?P<divisor>\d+(?:\.\d+)?)(?!\d))?"
)
_MARKED: Final = re.compile(r"####([^\n]*)")
_BOXED: Final = re.compile(r"\bboxed\s*\{([^{}]*)\}")
_STATED: Final = re.compile(r"\banswer\b(?:\s+(?:is|was|equals)\b|\s*[:=])([^\n]{0,120})", re.I)
_FRACTION: Final = re.compile(r"\\d?frac\s*\{([^{}]+)\}\s*\{([^{}]+)\}")
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
    text = _plain(text)
    for pattern in (_MARKED, _BOXED, _STATED):
        stated = [found for part in pattern.findall(text) if (found := _NUMBER.search(part))]
        if stated:
            return _value(stated[-1])
    numbers = list(_NUMBER.finditer(text))
    return _value(numbers[-1]) if numbers else None


def _plain(text: str) -> str:
    """Without markup and currency; LaTeX's fractions as a/b, dates as three numbers."""
    text = _FRACTION.sub(r"\1/\2", text.replace("\N{MINUS SIGN}", "-").replace("{,}", ","))
    return _DATE.sub(r"\1 \2 ", _DROPPED.sub("", text))


def _value(number: re.Match[str]) -> float | None:
    """Infinite values and divisions by zero are no numbers."""
    amount = number["amount"].replace(",", "")
    value = float(f"{number['sign'] or ''}{amount}e{number['power'] or 0}")
    divisor = float(number["divisor"] or 1)
    return value / divisor if divisor and math.isfinite(value) else None
