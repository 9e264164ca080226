"""Finds statements of an answer in every language of languages.py: "die Antwort ist B"."""

import re
from typing import Final

from transformers_hem.labels.scorers.languages import LANGUAGES, Language, any_of, whole
from transformers_hem.labels.scorers.plain_text import WORD

_OPENING: Final = r"[({\[<\"'\u2018]\s?"
_CLOSING: Final = r"[.,]?\s?[)}\]>\"'\u2019]"
_AFTER: Final = rf"(?![{WORD}+#'\u2019&%°-])"
# Characters of scripts that stand next to a letter without being a part of its word.
_OTHER_SCRIPT: Final = "\\s?[\u0590-\u1fff\u3040-\uffff]"
_ENDS: Final = "|".join(row.ends for row in LANGUAGES.values() if row.ends)
_REASON: Final = r"\s(?:[-\u2013\u2014]|" + any_of("but") + ")"
_END: Final = rf"(?=\s?(?:$|[,;:!?)\]}}(<\n]|\.(?!\w)|{_ENDS})|{_REASON})"
# A, E and I are words too in languages written in Latin letters, and have to end a statement.
_LETTER: Final = (
    rf"(?:{_OPENING}(?P<bracketed>[A-Ja-j]){_CLOSING}|(?P<alone>[B-DF-HJ]){_AFTER}"
    rf"|(?P<ending>[AEIa-j]){_AFTER}(?:{_END}|(?={_OTHER_SCRIPT})))"
)
_LAST_LETTER: Final = (
    rf"(?:{_OPENING}(?P<bracketed>[A-J]){_CLOSING}|(?P<ending>[A-Jb-df-hj]){_AFTER}{_END})"
)
_GAP: Final = r"[^.,:=\n]{0,60}?"
_ADVERB: Final = (
    r"(?:,?\s(?:also|daher|somit|demnach|eindeutig|wohl|donc|alors|bien|entonces|pues|quindi|dunque"
    r"|portanto|assim|поэтому|значит|\w{2,20}(?:mente|ment|lich|weise))\b,?){0,3}"
)
_COLON: Final = r"(?:\s\w{3,12}){0,2}\s?[:=\]][\s\]]{0,8}"


def _stated(row: Language) -> re.Pattern[str]:
    """ "Antwort: B", "die Antwort auf die Frage ist B"."""
    return re.compile(
        rf"(?i:{whole(row, row.answer)}(?:{_GAP}{whole(row, row.link)}{_ADVERB}\s?:?\s{{0,8}}"
        rf"|{_COLON})(?:{row.label})\s?:?\s?){_LETTER}"
    )


def _said(row: Language) -> re.Pattern[str]:
    """ "es ist B", "Antwort B"."""
    answer = rf"{whole(row, row.answer)}\.?(?:\s[-\u2013\u2014])?"
    return re.compile(
        rf"(?i:(?:{whole(row, row.says)}{_ADVERB}|{answer})"
        rf"\s?:?\s?(?:{row.label})\s?)(?<![{WORD}]){_LAST_LETTER}"
    )


def _judged(row: Language) -> re.Pattern[str]:
    """ "B ist richtig"."""
    blank = r"\s" if row.spaced else r"\s?"
    ending = r"\w{0,6}(?!\w)" if row.spaced else ""
    return re.compile(
        rf"(?<![{WORD}'\u2019])\(?(?P<letter>[A-J])\)?(?![{WORD}]){blank}(?i:(?:{row.right}){ending})"
    )


def _number(row: Language) -> re.Pattern[str]:
    gap = _GAP.replace("\\n", "\\n\\d")
    link = rf"{gap}{whole(row, row.link)}\s?:?|{_COLON}"
    return re.compile(rf"{whole(row, row.answer)}(?:{link})([^\n]{{0,120}})", re.I)


LETTER_STATED: Final = [
    rule(row) for row in LANGUAGES.values() for rule in (_stated, _said, _judged)
]
NUMBER_STATED: Final = [
    re.compile(r"\banswer\b(?:\s+(?:is|was|equals)\b|\s*[:=])([^\n]{0,120})", re.I),
    *map(_number, LANGUAGES.values()),
]
# Letters of Russian keyboards that look like options, where they can't be words or initials.
_ALIKE: Final = "\u0410\u0412\u0421\u0415"
_LOOKALIKE: Final = re.compile(
    rf"(?m:^[ \t*]{{0,8}})[(\[\"]?[{_ALIKE}](?=[.)\]\"*]{{0,3}}[ \t]{{0,8}}$|[)\]]\s)"
    rf"|(?i:(?<!\w)(?:{LANGUAGES['Russian'].answer})\W{{1,4}}(?:это\s|вариант\s)?)"
    rf"[(\[\"]?[{_ALIKE}](?=\s?(?:$|[,;)\]!?\"*\n]|\.(?!\s?[\u0410-\u042f\u0401])))",
    re.M,
)
_LATIN: Final = str.maketrans(_ALIKE, "ABCE")

OPTION: Final = re.compile(rf"(?i:{any_of('option')})\s?\(?([A-J])(?![{WORD}])")
JOINED: Final = any_of("joined")
BUT: Final = any_of("but")
REFUTED: Final = re.compile(rf"[)\]}}\"'\u2019*]{{0,3}}\s?(?:{any_of('refuted')})", re.I)
_DENIED: Final = re.compile(any_of("denied"), re.I)
_DENIED_BEFORE: Final = re.compile(rf"(?:{any_of('denied')})\s?(?:\w{{1,3}}['\u2019\s])?$", re.I)
WRONG: Final = re.compile(rf"[^.,;\n]{{0,80}}?(?:{any_of('refuted')})", re.I)


def denies(clause: str) -> bool:
    """Whether something in it denies what follows."""
    return _DENIED.search(clause) is not None


def denies_at_the_end(text: str) -> bool:
    """Whether what follows right behind it is denied."""
    return _DENIED_BEFORE.search(text) is not None


def in_latin(text: str) -> str:
    """The text with a Latin B for a Cyrillic one that looks like it, where an option is named."""
    return _LOOKALIKE.sub(lambda match: match[0][:-1] + match[0][-1].translate(_LATIN), text)
