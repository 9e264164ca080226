r"""One spelling for what answers write in many: Unicode's variants of letters, digits, signs and
blanks become the usual ones, and LaTeX's wrappers such as \text{B} go.

Each scorer decides what it looks for there; answer_text.py finds the answer in a model's text.
"""

import re
import unicodedata
from typing import Final

# Inside brackets of a regular expression: what words are made of where blanks part them. A letter
# or number next to any other script's stands by itself.
WORD: Final = r"0-9A-Za-z_\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u052f"

_UNSEEN: Final = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufe0e\ufe0f\ufeff]")
_FRACTION_AFTER_DIGIT: Final = re.compile("(?<=\\d)(?=[\u00bc-\u00be\u2150-\u215e])")
# Not the raised, lowered and circled numbers, nor the units of one character: in plain digits the
# square of "25 m\u00b2" would be the number 2.
_FOLDED: Final = re.compile(
    "[^\0-\x7f\u00b2\u00b3\u00b9\u2070-\u209c\u2460-\u249b\u24ea-\u24ff\u2776-\u2793\u3200-\u33ff]+"
)
_DIGIT: Final = re.compile(r"(?![0-9])\d")
_DASH: Final = re.compile("[\u2010-\u2013](?=\\s?[$\u20ac\u00a3\u00a5]?\\.?\\d)")
_SIGNS: Final = str.maketrans(
    {
        "\u2212": "-",
        "\u2044": "/",
        "\u066b": ".",
        "\u066c": ",",
        "\u060c": ",",
        "\u061b": ";",
        "\u061f": "?",
        "\u0964": ". ",
        "\u3002": ". ",
        "\u3001": ", ",
        "\u3010": "[",
        "\u3011": "]",
        **dict.fromkeys("\u300c\u300d\u300e\u300f\u00ab\u00bb\u201e\u201c\u201d\u300a\u300b", '"'),
    }
)
_WRAPPER: Final = re.compile(
    r"\\(?:text(?:bf|it|rm|sf|tt|normal)?|math(?:bf|it|rm|sf|tt|bb)|[mf]box|bm|boldsymbol|emph|underline)"
    r"\s?\{([^{}]*)\}"
)
_SIZED: Final = re.compile(r"\\(?:left|right)(?![a-z])")
_LATEX_FRACTION: Final = re.compile(
    r"(?P<whole>(?<=\d)\s?)?\\[dtc]?frac\s?(?:\{([^{}]+)\}|(\d))\s?(?:\{([^{}]+)\}|(\d))"
)


def plain(text: str) -> str:
    r"""Unicode's NFKC but for raised numbers, digits of all scripts as 0 to 9, one minus sign, no
    characters that can't be seen, \text{B} as B and \frac{1}{2} as 1/2."""
    if not text.isascii():
        text = _FRACTION_AFTER_DIGIT.sub(" ", _UNSEEN.sub("", text))
        text = _FOLDED.sub(lambda piece: unicodedata.normalize("NFKC", piece[0]), text)
        text = _DIGIT.sub(lambda digit: str(unicodedata.decimal(digit[0])), text)
        text = _DASH.sub("-", text.translate(_SIGNS))
    if "\\" not in text:
        return text
    text = text.replace("{,}", ",")
    text = _WRAPPER.sub(r"\1", _WRAPPER.sub(r"\1", _SIZED.sub("", text)))
    return _LATEX_FRACTION.sub(_slashed, text)


def normalised(text: str) -> str:
    """Unicode's NFKC, case folded, white space collapsed and cut off at the ends."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _slashed(fraction: re.Match[str]) -> str:
    r"""2\frac{1}{2} is the mixed number 2 1/2."""
    blank = "" if fraction["whole"] is None else " "
    return f"{blank}{fraction[2] or fraction[3]}/{fraction[4] or fraction[5]}"
