r"""One spelling for what answers write in many: what every scorer that compares texts reads.

`plain` is for any text: Unicode's variants of letters, digits, signs and blanks become the usual
ones, and LaTeX's wrappers such as \text{B} go. `answered` is a model's text without its reasoning;
`final` is that in plain text, and of JSON the field of the answer alone. Each scorer decides what
it looks for there.
"""

import re
import unicodedata
from typing import Final

import orjson

# "think" in <think>, [THINK] of Mistral's and \u25c1think\u25b7 of Kimi's models.
_TAG: Final = "[<\\[\u25c1]%s(?:think|thinking|thought|reasoning)[>\\]\u25b7]"
# A block that never ends was cut by the limit of tokens, and has no answer after it.
_BLOCK: Final = re.compile(_TAG % "" + f"(?:.*?{_TAG % '/'}|.*)", re.I | re.S)
# Chat templates often put the opening tag into the prompt: then only the closing one is left.
_REST_OF_BLOCK: Final = re.compile(
    rf"\A.*(?:{_TAG % '/'}|<\|channel\|>final<\|message\|>)", re.I | re.S
)
# A model that doesn't stop goes on with a turn of the user.
_NEXT_TURN: Final = re.compile(
    r"(?<=\S)\s{0,8}(?:\n(?:Human|User):|</s>|<\|(?:im_end|im_start|eot_id|end|return|endoftext)\|>)"
)
_FIELD: Final = re.compile(
    r"""["'](?:final|correct)?[_ ]?(?:answer|choice|option|result)(?:[_ ]?letter)?["']\s?:\s{0,8}"""
    r"""(?:(?P<json>"(?:[^"\\\n]|\\.)*"|-?\d[\d.eE+-]*)|'(?P<python>[^'\n]*)')""",
    re.I,
)

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
        "\u3002": ". ",
        "\u3001": ", ",
        "\u3010": "[",
        "\u3011": "]",
        **dict.fromkeys("\u300c\u300d\u300e\u300f", '"'),
    }
)
_WRAPPER: Final = re.compile(
    r"\\(?:text(?:bf|it|rm|sf|tt|normal)?|math(?:bf|it|rm|sf|tt|bb)|mbox|bm|boldsymbol|emph|underline)"
    r"\s?\{([^{}]*)\}"
)
_SIZED: Final = re.compile(r"\\(?:left|right)(?![a-z])")
_LATEX_FRACTION: Final = re.compile(
    r"(?P<whole>(?<=\d)\s?)?\\[dtc]?frac\s?(?:\{([^{}]+)\}|(\d))\s?(?:\{([^{}]+)\}|(\d))"
)


def answered(text: str) -> str:
    """A model's text without its blocks of reasoning, and without turns of others that it made
    up."""
    text = _REST_OF_BLOCK.sub("", _BLOCK.sub("", text))
    turn = _NEXT_TURN.search(text)
    return text[: turn.start()] if turn else text


def final(text: str) -> str:
    """What `text`, a model's, answers in the end, in plain text: of JSON the last field that is
    called an answer."""
    answer = answered(text)
    for field in list(_FIELD.finditer(answer))[-1:]:
        answer = field["python"] or _value(field["json"] or "")
    return plain(answer).strip()


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
    text = _WRAPPER.sub(r"\1", _WRAPPER.sub(r"\1", _SIZED.sub("", text)))
    return _LATEX_FRACTION.sub(_slashed, text)


def normalised(text: str) -> str:
    """Unicode's NFKC, case folded, white space collapsed and cut off at the ends."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _slashed(fraction: re.Match[str]) -> str:
    r"""2\frac{1}{2} is the mixed number 2 1/2."""
    blank = "" if fraction["whole"] is None else " "
    return f"{blank}{fraction[2] or fraction[3]}/{fraction[4] or fraction[5]}"


def _value(field: str) -> str:
    try:
        return str(orjson.loads(field))
    except orjson.JSONDecodeError:  # an escape or a number that JSON doesn't have
        return field.strip('"')
