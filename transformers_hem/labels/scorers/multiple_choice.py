"""Multiple choice: the option that an answer settles on, which is not its first capital letter."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from transformers_hem.labels.question import Question
from transformers_hem.labels.scorers.base import ReferenceScorer
from transformers_hem.labels.scorers.exact_match import normalised

Options = Mapping[str, str]

_UNLISTED: Final = "ABCDE"  # the letters where the query doesn't list its options
# Runs of blanks are bounded: an answer of a million of them takes no longer than any other.
_OPTION: Final = re.compile(r"^[ \t]{0,8}\(?([A-J])[ \t]{0,8}[.):][ \t]{1,8}(\S.*)$", re.M)
_MARKUP: Final = re.compile(r"[*_`$]+|\\(?:text|textbf|mathrm|mathbf)\b")

# A letter in brackets, or one by itself: the C of "Cannot" and "C++" is none. A and I are words
# too, and have to end a statement.
_LETTER: Final = (
    r"(?:[({\[<\"'\u2018\u201c]\s?(?P<bracketed>[A-Ja-j])[.,]?\s?[)}\]>\"'\u2019\u201d]"
    r"|(?P<alone>[B-HJ])(?![\w+#'\u2019&%°-])"
    r"|(?P<ending>[AIa-j])(?=\s?(?:$|[.,;:!?)\]}(\n])"
    r"|\s(?:because|since|as|due|which|[-\u2013\u2014])\s))"
)
_STATED: Final = re.compile(
    r"(?i:\b(?:answer|choice|option|solution|one)\b"
    r"(?:[^.:=\n]{0,60}?\b(?:is|was|be)\b\s?:?|\s?[:=])"
    r"|\b(?:choose|pick|select|go(?:ing)?\s(?:with|for))\b|\bboxed\b)"
    r"\s{0,8}(?i:(?:the\s)?(?:option|choice|letter|answer)\s?:?\s{0,8})?" + _LETTER
)
_JUDGED: Final = re.compile(
    r"(?<!\w)(?<!if )(?<!whether )\(?(?P<letter>[A-J])\)? is (?:the )?(?:correct|right)\b"
)
_ALSO: Final = re.compile(r"\s?(?:,|/|&|and\b|or\b)\s?\(?[A-J](?![\w.'\u2019])")
_LINE: Final = re.compile(r"^[ \t]{0,8}\(?([A-Ja-j])[ \t]{0,8}[.:)]{0,2}[ \t]{0,8}$", re.M)
_HEAD: Final = re.compile(r"^[ \t]{0,8}(?:\(([A-J])\)|([A-J])[.):])[ \t]{1,8}\S", re.M)
_POINTED: Final = re.compile(r"\(([A-J])\)|\b(?i:option|choice)\s([A-J])\b")
_BOLD: Final = re.compile(r"\*\* ?\(?([A-J])\)?[.):]?(?: [^*\n]{0,500})?\*\*")


class MultipleChoice(ReferenceScorer):
    """1 where the answer settles on the reference's option; none, or several, is wrong. Options
    are the query's lines "A. text", "A) text" or "(A) text"; the reference is a letter or a text.
    """

    graded = False

    def check(self, question: Question) -> None:
        for reference in question.references:
            if reference_option(reference, options_of(question.query)) is None:
                raise ValueError(
                    f"reference {reference[:80]!r} is neither an option's letter nor its text"
                )

    def against(self, answer: str, reference: str, question: Question) -> float:
        options = options_of(question.query)
        chosen = chosen_option(answer, options)
        return float(chosen is not None and chosen == reference_option(reference, options))


def options_of(query: str) -> Options:
    """Letter -> text, empty texts where the query lists none. The last list counts: examples may
    come first."""
    listed = {letter: text.strip() for letter, text in _OPTION.findall(query)}
    return listed if len(listed) > 1 else dict.fromkeys(_UNLISTED, "")


def reference_option(reference: str, options: Options) -> str | None:
    """The letter of a reference such as "B", "(b)", "B. text" or an option's text."""
    for pattern in (_LINE, _HEAD):
        if found := _letters(pattern, reference):
            return found[0] if found[0] in options else None
    same = [letter for letter, text in options.items() if normalised(text) == normalised(reference)]
    return same[0] if len(same) == 1 else None


def chosen_option(answer: str, options: Options) -> str | None:
    """The letter that an answer settles on; None for none and for several."""
    plain = _MARKUP.sub("", answer).strip()
    rules: Sequence[Callable[[], Sequence[str]]] = (
        lambda: _stated(plain),
        lambda: _letters(_LINE, plain)[-1:],
        lambda: _heading(plain),
        lambda: [*_letters(_BOLD, answer), *_letters(_POINTED, plain)],
        lambda: _by_text(plain, options),
    )
    for rule in rules:
        if found := set(rule()):
            letter = found.pop()
            return letter if not found and letter in options else None
    return None


def _stated(text: str) -> list[str]:
    """What the last "the answer is" says; two letters where it names a second."""
    statements = [*_STATED.finditer(text), *_JUDGED.finditer(text)]
    if not statements:
        return []
    last = max(statements, key=lambda statement: statement.end())
    letter = next(group for group in last.groups() if group).upper()
    return [letter, "?"] if _ALSO.match(text, last.end()) else [letter]


def _heading(text: str) -> list[str]:
    """The first line's "B) text"; nothing where the answer repeats the list of options."""
    heads = _letters(_HEAD, text)
    repeats = len(heads) > 1 and ord(heads[1]) == ord(heads[0]) + 1
    return [] if repeats else heads[:1]


def _by_text(answer: str, options: Options) -> list[str]:
    """Options whose text is in the answer, but not only as a part of another's."""
    spoken = normalised(answer).rstrip(".")
    texts = {letter: normalised(text).rstrip(".") for letter, text in options.items() if text}
    equal = [letter for letter, text in texts.items() if text == spoken]
    if equal:
        return equal
    found = {letter: text for letter, text in texts.items() if _within(text, spoken)}
    return [
        letter
        for letter, text in found.items()
        if not any(text != other and _within(text, other) for other in found.values())
    ]


def _within(part: str, whole: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(part)}(?!\w)", whole) is not None


def _letters(pattern: re.Pattern[str], text: str) -> list[str]:
    return [next(group for group in m.groups() if group).upper() for m in pattern.finditer(text)]
