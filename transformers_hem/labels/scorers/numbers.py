"""Numbers as people and models write them: signs, separators, fractions, powers of ten and words
such as million. Texts are in the spelling of `plain_text.plain`.

"1.234" and "1,234" alone are one number where the point stands before the decimals, and another
where the comma does; a `Decimal` says which is meant. Of all others their form tells it.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from transformers_hem.labels.scorers.plain_text import WORD

Decimal = Literal["point", "comma"]

_SCALES: Final[dict[str, float]] = {
    r"lakh\scrore|million\smillion": 1e12,
    r"thousand\scrore": 1e10,
    r"hundred\smillion": 1e8,
    r"hundred\sthousand": 1e5,
    r"hundred": 1e2,
    r"thousand|tausend|mila|mille|mil(?!\smillones)|тыс\w{0,4}\.?|हज़ार|हजार|ألف"
    r"|[千천](?![米克瓦卡])": 1e3,  # kilometre, kilogram, kilowatt and calorie are no thousands
    r"[万萬만]": 1e4,
    r"la(?:kh|c)s?|लाख": 1e5,
    r"millions?|millionen|mio\.?|mln|mill[óo]n(?:es)?|milion[ei]|milh(?:ão|ões)|миллион\w{0,2}|млн"
    r"|مليون|百[万萬]|백만": 1e6,
    r"crores?|करोड़": 1e7,
    r"[億亿억]": 1e8,
    r"billions?|milliard(?:en?|s)?|mrd\.?|miliard[oi]|mil\smillones|bilh(?:ão|ões)|миллиард\w{0,2}"
    r"|млрд|مليار": 1e9,
    r"trillions?|billionen|billones|трлн|兆(?![字瓦赫])": 1e12,
}
# Letters, which are units elsewhere, after an amount of money.
_MONEY: Final = re.compile(
    r"((?:[$€£¥₹]|\b(?:USD|EUR|GBP|INR|Rs\.?))\s?\d[\d.,]*)"
    r"(?:(?P<thousand>k)|(?P<million>m|\s?mn)|(?P<billion>b|\s?bn)|\s?(?P<crore>cr))\b(?!\s?\$)",
    re.I,
)

_KILO: Final = re.compile(r"(?<=\d)k(?!\w)")  # a K is a kelvin

_AMOUNT: Final = (
    r"(?:[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?(?![.,]?\d)"
    r"|[1-9]\d?(?:,\d\d)+,\d{3}(?:\.\d+)?(?![.,]?\d)"  # India's
    r"|[1-9]\d{0,2}(?:\.\d{3})+(?:,\d+)?(?![.,]?\d)"
    r"|(?<!\d\.)\d+\.\d+(?![.,]?\d)|(?<!\d,)\d+,\d+(?![.,]?\d)|\d+|(?<!\d)\.\d+)"
)
_RAISED: Final = "\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079\u207b\u207a"
_PLAIN_RAISED: Final = str.maketrans(_RAISED, "0123456789-+")
_SCALE: Final = "|".join(
    rf"(?P<s{place}>(?:{words})(?![{WORD[3:]}]))" for place, words in enumerate(_SCALES)
)
# A minus after a digit or a bracket is an operator; the 2 of m^2 belongs to a unit.
_EXPONENT: Final = "".join(rf"(?<![A-Za-z]\^{sign})" for sign in ("", "-", "[{(]", "[{(]-"))
_NUMBER: Final = re.compile(
    rf"{_EXPONENT}(?P<sign>(?<![{WORD}.)])-)?(?P<amount>{_AMOUNT})"
    rf"(?:e(?P<e>[+-]?\d{{1,3}})(?!\w)"
    rf"|\s?(?:\u00d7|\u00b7|\u22c5|x|times|cdot)\s?10\s?(?:\^\s?[({{]?(?P<ten>[+-]?\d{{1,3}})[)}}]?"
    rf"|(?P<raised>[{_RAISED}]{{1,4}}))"
    rf"|\s?\^\s?[({{]?(?P<power>-?\d{{1,3}})(?!\w)[)}}]?"
    rf"|(?<=10)(?P<tens>[{_RAISED}]{{1,4}}))?"
    r"(?:[ \t](?:and\s)?(?P<part>\d{1,4})/(?P<of>\d{1,4})(?![\d./])"
    r"|\s?/\s?(?P<divisor>\d+(?:\.\d+)?)(?!\d))?"
    rf"(?:\s{{0,2}}(?:{_SCALE}))?",
    re.I,
)
_JOINED: Final = re.compile(r"\s?(?:and\s)?", re.I)  # of "1 crore and 20 lakh"

_BLANKS: Final = re.compile(
    rf"(?<![{WORD}.,/])[1-9]\d{{0,2}}(?:[ '\u2019\u02bc~]\d{{3}}(?![\d/]))+"
)
_NEGATIVE: Final = re.compile(
    rf"(?<![{WORD}])(?:negative|minus|moins|menos|meno|минус)\s(?=[$€£]?\.?\d)"
    r"|[负負](?=\d)|(?:マイナス|마이너스\s?|ऋण\s|سالب\s|ناقص\s)(?=\d)",
    re.I,
)
# Before one of those it is an operator: of "10 minus 5", "(2) minus 5" and "x minus 5".
_OPERAND: Final = re.compile(rf"(?:\d|\)|(?<![{WORD}])[a-z])\s{{0,4}}$", re.I)
_DATE: Final = re.compile(r"(\d)/(\d{1,4})/(?=\d)")

_FORMS: Final[dict[Decimal, re.Pattern[str]]] = {
    "point": re.compile(
        r"(?:[1-9]\d{0,2}(?:,\d{3})+|[1-9]\d?(?:,\d\d)+,\d{3}|\d*)(?:\.\d+)?", re.A
    ),
    "comma": re.compile(r"(?:[1-9]\d{0,2}(?:\.\d{3})+|\d*)(?:,\d+)?", re.A),
}


@dataclass(frozen=True, slots=True)
class Number:
    """Where it stands in a text, and its value."""

    start: int
    end: int
    value: float
    scale: float


def prepared(text: str) -> str:
    """The text as `numbers` and `first_number` read it: no blanks in 12 000, dates as three
    numbers, negative 5 as -5, $5k as $5 thousand."""
    text = _BLANKS.sub(lambda number: re.sub(r"\D", "", number[0]), text)
    text = _DATE.sub(r"\1 \2 ", text)
    text = _MONEY.sub(lambda money: f"{money[1]} {money.lastgroup}", text)
    text = _KILO.sub(" thousand", text)
    return _NEGATIVE.sub(_signed, text)


def numbers(text: str, decimal: Decimal) -> Iterator[Number]:
    """All in a prepared text; "1 crore 20 lakh" is one. Infinite ones and divisions by zero are
    none."""
    last: Number | None = None
    for match in _NUMBER.finditer(text):
        value = _value(match, decimal)
        if value is None:
            continue
        number = Number(match.start(), match.end(), value, _scale(match))
        if last is None:
            last = number
        elif _continues(text, last, number):
            total = last.value + math.copysign(number.value, last.value)
            last = Number(last.start, number.end, total, number.scale)
        else:
            yield last
            last = number
    if last is not None:
        yield last


def _continues(text: str, last: Number, number: Number) -> bool:
    between = text[last.end : number.start]
    if last.scale == 1 or not 0 <= number.value < last.scale:
        return False
    return between == "" or (number.scale > 1 and _JOINED.fullmatch(between) is not None)


def _scale(number: re.Match[str]) -> float:
    for place, factor in enumerate(_SCALES.values()):
        if number[f"s{place}"]:
            return factor
    return 1.0


def _value(number: re.Match[str], decimal: Decimal) -> float | None:
    value = _amount(number["amount"], decimal)
    try:
        if number["power"]:
            value **= int(number["power"])
        elif number["tens"]:
            value = value ** _raised(number["tens"]) if value == 10 else value
        ten = number["e"] or number["ten"] or 0
        value *= 10.0 ** (_raised(number["raised"]) if number["raised"] else int(ten))
    except (OverflowError, ZeroDivisionError, ValueError):
        return None
    divisor = float(number["divisor"] or number["of"] or 1)
    if not divisor or not math.isfinite(value):
        return None
    value = value + int(number["part"]) / divisor if number["part"] else value / divisor
    value *= _scale(number)
    return -value if number["sign"] else value


def _raised(digits: str) -> int:
    return int(digits.translate(_PLAIN_RAISED))


def _amount(digits: str, decimal: Decimal) -> float:
    """By the convention asked for, or by the other where only that one has such a form."""
    other: Decimal = "comma" if decimal == "point" else "point"
    meant = decimal if _FORMS[decimal].fullmatch(digits) else other
    if meant == "comma":
        digits = digits.replace(".", "").replace(",", ".")
    return float(digits.replace(",", ""))


def _signed(word: re.Match[str]) -> str:
    before = word.string[max(0, word.start() - 8) : word.start()]
    negative = word[0].casefold().startswith("negative")
    return word[0] if not negative and _OPERAND.search(before) else "-"
