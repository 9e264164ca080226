"""Numeric answers, GSM8K style: the number that an answer ends on equals the reference's."""

import math
import re
from collections.abc import Iterator
from itertools import product
from typing import Final

from pydantic import Field

from transformers_hem.labels.question import Question
from transformers_hem.labels.scorers.answer_text import final
from transformers_hem.labels.scorers.base import ReferenceScorer, ScorerOptions
from transformers_hem.labels.scorers.languages import any_of
from transformers_hem.labels.scorers.numbers import Decimal, Number, numbers, prepared
from transformers_hem.labels.scorers.statements import NUMBER_STATED, denies

_MARKED: Final = re.compile(r"####([^\n]*)")
_BOXED: Final = re.compile(r"\bboxed\s*\{((?:[^{}]|\{[^{}]*\})*)\}")
# Where another statement may begin: what is denied ends there, and a reason that follows.
_CLAUSE: Final = re.compile(
    r"[.!?,](?=\s|$)|[;(]|\b(?:because|since|which|but|rather|instead)\b|" + any_of("but"), re.I
)
_DENIED: Final = re.compile(rf"\s*(?:not\b|(?:{any_of('denied')}))", re.I)
_TAKEN_BACK: Final = re.compile(rf"\s?\w{{0,2}}?(?:{any_of('refuted')})", re.I)
_EQUALS: Final = re.compile(r"==?|\u2248|\bapprox\b")
_OPERATOR: Final = re.compile(
    r"\s?(?:[-+\u00d7\u00f7^/]|x|(?:times|cdot|plus|minus)\b)\s?[\d.(-]", re.I
)
_TIMES: Final = re.compile(r"(?<=[\w)])\*(?=[\d.(])|(?<=\s)\*(?=\s)")
_POWER: Final = re.compile(r"(?<=\d)\*\*(?=[\d(-])")
_RAISED: Final = re.compile(r"<sup>\s?(?=-?\d{1,3}\s?</sup>)", re.I)
_DROPPED: Final = re.compile(r"\\[!,;]|[*_`\\]")
_CURRENCY: Final = re.compile(r"[$€£¥₹₩₽₺₪฿₫₴]\s?")
_CONVENTIONS: Final[tuple[Decimal, Decimal]] = ("point", "comma")


class NumericOptions(ScorerOptions):
    tolerance: float = Field(1e-4, ge=0, description="relative to the reference")
    decimal: Decimal | None = Field(
        None, description="what stands before decimals: 1.234 and 1,234 alone don't tell"
    )


class Numeric(ReferenceScorer):
    """Signs of currency, thousands' separators, percent signs and units around the number are not
    looked at: "$1,234.50", "1234.5 dollars" and "1.234,50" are equal, and so are 50% and 50.

    Without the option `decimal` "1.234" and "1,234" have a point before their decimals. Where
    an answer is right only if a comma stands there, it is wrong, and counts as not read.
    """

    graded = False
    Options = NumericOptions
    options: NumericOptions

    def check(self, question: Question) -> None:
        for reference in question.references:
            if final_number(reference) is None:
                raise ValueError(f"reference {reference[:80]!r} has no number")

    def against(self, answer: str, reference: str, question: Question) -> float:
        decimal = self.options.decimal or "point"
        return float(self._equal(answer, decimal, reference, decimal, question))

    def reads(self, question: Question, answer: str) -> bool:
        if final_number(answer) is None:
            return False
        if self.options.decimal or self._best(answer, question):
            return True
        return not any(
            self._equal(answer, ours, reference, theirs, question)
            for reference in question.references
            for ours, theirs in product(_CONVENTIONS, repeat=2)
        )

    def _equal(
        self, answer: str, ours: Decimal, reference: str, theirs: Decimal, question: Question
    ) -> bool:
        """`ours` is the answer's convention, `theirs` the reference's; a number of JSON has its
        own."""
        given = final_number(answer, ours)
        expected = final_number(reference, "point" if _is_json(reference, question) else theirs)
        if given is None or expected is None:
            return False
        return math.isclose(given, expected, rel_tol=self.options.tolerance, abs_tol=1e-9)


def final_number(text: str, decimal: Decimal = "point") -> float | None:
    r"""The number that `text` ends on: after the last "####", in the last \boxed{}, after the last
    "answer is", else the last number of all; None where there is none."""
    text = _unmarked(final(text))
    for statements in (_MARKED.findall(text), _BOXED.findall(text), list(_stated(text))):
        values = [value for each in statements if (value := _result(each, decimal)) is not None]
        if values:
            return values[-1]
    return next(reversed([number.value for number in numbers(text, decimal)]), None)


def _stated(text: str) -> Iterator[str]:
    """What follows each "the answer is", in their order; what "is not" is left out."""
    matches = [match for pattern in NUMBER_STATED for match in pattern.finditer(text)]
    for match in sorted(matches, key=lambda each: each.start(1)):
        statement = match[1]
        if denies(match[0][: -len(statement)] if statement else match[0]):
            clause = _CLAUSE.search(statement)
            statement = statement[clause.end() :] if clause else ""
        yield statement


def _result(statement: str, decimal: Decimal) -> float | None:
    """The 5 of "2 + 3 = 5 apples, because ..." and of "not 4 but 5"."""
    for clause in _CLAUSE.split(statement):
        if _DENIED.match(clause):
            continue
        found = [
            (side, number)
            for side in _EQUALS.split(clause)
            if (number := next(_asserted(side, decimal), None))
        ]
        if found:
            results = [number for side, number in found if not _OPERATOR.match(side, number.end)]
            return (results or [number for _, number in found])[-1].value
    return None


def _asserted(text: str, decimal: Decimal) -> Iterator[Number]:
    for number in numbers(text, decimal):
        if not _TAKEN_BACK.match(text, number.end):
            yield number


def _unmarked(text: str) -> str:
    """Without markup and currency, and prepared."""
    text = _POWER.sub("^", _RAISED.sub("^", text))
    text = _DROPPED.sub("", _TIMES.sub("\N{MULTIPLICATION SIGN}", text))
    return _CURRENCY.sub("", prepared(text))


def _is_json(reference: str, question: Question) -> bool:
    """Whether it is a number, and no text, in the file of questions."""
    value = question.reference
    values = value if isinstance(value, list | tuple) else [value]
    return any(not isinstance(each, str) and str(each) == reference for each in values)
