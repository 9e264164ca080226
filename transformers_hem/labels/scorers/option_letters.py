"""What an answer says of options by their letters: "it must be C", "B is wrong".

These are the rules of English; those of other languages are in languages.py.
"""

import re
from collections.abc import Sequence
from typing import Final

from transformers_hem.labels.scorers import statements
from transformers_hem.labels.scorers.plain_text import WORD

# A letter in brackets, or one by itself: the C of "Cannot" and "C++" is none. A and I are words
# too, and have to end a statement.
_BRACKETED: Final = r"[({\[<\"'\u2018\u201c]\s?(?P<bracketed>[A-J%s])[.,]?\s?[)}\]>\"'\u2019\u201d]"
_REASON: Final = r"\s(?:because|since|as|due|which|not|rather|[-\u2013\u2014])\s"
_LETTER: Final = (
    rf"(?:{_BRACKETED % 'a-j'}"
    r"|(?P<alone>[B-HJ])(?![\w+#'\u2019&%°-])"
    rf"|(?P<ending>[AIa-j])(?=\s?(?:$|[.,;:!?)\]}}(<\n])|{_REASON}))"
)
# After words that say less than "the answer is", every letter has to end a statement; that of
# "E. coli" and of "I think I, too" doesn't.
_LAST_LETTER: Final = (
    rf"(?:{_BRACKETED % ''}"
    r"|(?P<ending>[A-HJb-hj])"
    rf"(?=\s?(?:$|[,;:!?)\]}}(<\n]|\.(?!\w|\s[a-z]))|{_REASON})"
    r"|(?P<ninth>I)(?=\s?(?:$|[.;!\n])))"
)
_ADVERBS: Final = (
    r"(?:,?\s(?:(?:most\s)?\w{1,20}ly|therefore|thus|hence|then|indeed|still|just),?){0,3}"
)
_LABEL: Final = r"\s{0,8}(?i:(?:the\s)?(?:option|choice|letter|answer)\s?:?\s{0,8})?"
_STATED: Final = re.compile(
    r"(?i:\b(?:answer|ans|choice|option|solution|one)\b"
    rf"(?:(?:[^.:=\n]{{0,60}}?\b(?:is|was|be)\b|['\u2019]s\b){_ADVERBS}\s?:?|\s?[:=])"
    r"|\b(?:choose|pick|select|go(?:ing)?\s(?:with|for))\b|\bboxed\b"
    r"|<(?:final)?(?:answer|choice|option)>)" + _LABEL + _LETTER
)
_SAID: Final = re.compile(
    r"(?i:\b(?:it|that|this|which)"
    r"(?:['\u2019]s|\sis|\s(?:must|should|would|has\sto|have\sto)(?:\sonly)?\sbe)"
    r"|\bI(?:['\u2019]d|\swould|,[^.,;\n]{1,20},)?\s(?:think|believe|say|guess|suspect)(?:\sthat)?"
    r"|\b(?:so|therefore|thus|hence)\b[,:]?"
    r"|(?<!\ball\s)(?<!anything\s)(?<!nothing\s)\bbut(?:\srather|\sinstead)?"
    r"|\b(?:no|actually),"
    r"|\b(?:answer|ans)\b\.?\s?[-\u2013\u2014]?"
    r"|\A\w{1,20}ly\b,?)" + _ADVERBS + _LABEL + r"(?<!\w)" + _LAST_LETTER
)
_JUDGED: Final = re.compile(
    r"(?<!\w)\(?(?P<letter>[A-J])\)? (?:is|must be|has to be|should be|would be)"
    + _ADVERBS
    + r" (?:the )?(?:(?:correct|right)\b|(?:(?:final|only|best) )?(?:answer|choice)\b"
    r"|(?:most \w{1,20}|best) (?:answer|choice|option|one)\b)"
)
_ALSO: Final = re.compile(
    rf"\s?(?:,|/|&|and\b|or\b|{statements.JOINED})\s?\(?(?:[A-HJ]|I(?!\s[a-z]))(?![{WORD}'\u2019]|\.(?:\w|\s[a-z]))"
    r"(?!\)?\s(?:is|isn|was|has|can|cannot|does)\b)"
)
_SECOND: Final = re.compile(
    rf"(?<![{WORD}])[A-J]\)?(?:\s?[/&]\s?|\s(?:and|or)\s|\s?(?:{statements.JOINED})\s?)\(?$"
)

_CLAUSE: Final = re.compile(
    r"[.,;!?\n]|\b(?:but|so|then|because|since|therefore|thus|hence|and|however)\b|\b[A-J]\b|"
    + statements.BUT,
    re.I,
)
_DENIAL: Final = re.compile(
    r"\b(?:not|cannot|never|neither|nor|hardly|unlikely|impossible|wrong|incorrect|thought"
    r"|if|whether|unless|than|instead|(?:rul|eliminat|exclud|reject)\w*)\b|n['\u2019]t\b",
    re.I,
)
_REFUTED: Final = re.compile(
    r"[)\]}\"'\u2019\u201d*]{0,3}"
    r"(?:(?:(?:,[^.,;\n]{0,40},)?\s(?:is|was|seems|looks)"
    r"|(?:\s?(?:,|/|&|\band|\bor|\bnor)\s?\(?[A-J]\b\)?){0,9}\s(?:are|were|seem|look))"
    r"\s(?:\w{1,20}ly\s)?(?:both\s|all\s)?(?:wrong|incorrect|false|not)\b"
    r"|\s(?:is|are|was|were|could|does|do|should|would|ca)n['\u2019]t\b"
    r"|\scannot\b|\s(?:can|could|does|do|should|would)\snot\b"
    r"|,?\s(?:but|which|though)\s(?:(?:that|it|this)\s?)?(?:is|was|['\u2019]s)\s"
    r"(?:wrong|incorrect|not\s(?:right|correct|true|it\b|the\b))"
    r"|\s?\?\s*\S)"
)
_WINDOW: Final = 80  # characters before a letter in which it may be denied


def stated(text: str) -> list[str]:
    """What the last "the answer is", "it's" or "is correct" says that isn't taken back at once;
    two letters where it names a second."""
    rules = (_STATED, _SAID, _JUDGED, *statements.LETTER_STATED)
    matches = [each for rule in rules for each in rule.finditer(text)]
    matches.sort(key=_start, reverse=True)
    last = next((each for each in matches if not rejected(text, _start(each), each.end())), None)
    if last is None:
        return []
    several = names_another(text, last.end()) or _SECOND.search(text[: _start(last)][-_WINDOW:])
    return [*letters([last]), "?"] if several else letters([last])


def letters(matches: Sequence[re.Match[str]]) -> list[str]:
    """Each match's only group, in capitals."""
    return [next(group for group in each.groups() if group).upper() for each in matches]


def rejected(text: str, start: int, end: int) -> bool:
    """Whether what stands there is denied: "not B", "if B", "B is wrong", "B? No"."""
    clause = _CLAUSE.split(text[max(0, start - _WINDOW) : start])[-1]
    denied = _DENIAL.search(clause) is not None or statements.denies(clause)
    return denied or refuted(text, end)


def refuted(text: str, end: int) -> bool:
    """Whether what ends there is called wrong by what follows."""
    return any(rule.match(text, end) for rule in (_REFUTED, statements.REFUTED))


def names_another(text: str, end: int) -> bool:
    """Whether a second letter follows that isn't called wrong."""
    another = _ALSO.match(text, end)
    return another is not None and not refuted(text, another.end())


def _start(statement: re.Match[str]) -> int:
    """Where its letter is."""
    assert statement.lastgroup is not None
    return statement.start(statement.lastgroup)
