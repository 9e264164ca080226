"""Multiple choice: the option that an answer settles on, which is not its first capital letter."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from transformers_hem.labels.question import Question
from transformers_hem.labels.scorers import statements
from transformers_hem.labels.scorers.answer_text import final
from transformers_hem.labels.scorers.base import ReferenceScorer
from transformers_hem.labels.scorers.option_letters import (
    letters,
    names_another,
    refuted,
    rejected,
    stated,
)
from transformers_hem.labels.scorers.plain_text import WORD, normalised, plain

Options = Mapping[str, str]

_UNLISTED: Final = "ABCDE"  # the letters where the query doesn't list its options
# Runs of blanks are bounded: an answer of a million of them takes no longer than any other.
# Chinese and Japanese lists have no blank: "A.text", and "A, text" is what `plain` makes of theirs.
_TEXT: Final = rf"(?:[.):][ \t]{{1,8}}|[.):,][ \t]{{0,8}}(?=[^\0-\x7f{WORD}]))"
_OPTION: Final = re.compile(rf"^[ \t]{{0,8}}\(?([A-J])[ \t]{{0,8}}{_TEXT}(\S.*)$", re.M)
# The marks of Markdown's headings, quotes and emphasis, and of LaTeX's formulas.
_MARKUP: Final = re.compile(r"^[ \t]{0,8}(?:#{1,6}|>)[ \t]|[*_`$]+", re.M)

_LINE: Final = re.compile(
    r"^[ \t]{0,8}[(\[{<\"']?([A-Ja-j])[ \t]{0,8}[.)\]}>\"':!]{0,3}"
    r"(?:です|だと思います|である|だ|번|입니다|이다|예요|이에요|选项|選項){0,2}[.!]?[ \t]{0,8}$",
    re.M,
)
_HEAD: Final = re.compile(rf"^[ \t]{{0,8}}(?:\(([A-J])\)[ \t]{{1,8}}|([A-J]){_TEXT})\S", re.M)
_POINTED: Final = re.compile(r"\(([A-J])\)|\[([A-J])\]|\b(?i:option|choice)\s([A-J])\b")
_BOLD: Final = re.compile(r"\*\* ?\(?([A-J])\)?[.):]?(?: [^*\n]{0,500})?\*\*")
_BEGUN: Final = re.compile(r"\(?([A-HJ])\)?(?:,\s|\s[-\u2013\u2014]\s|\s(?:because|since)\b)")
_CAPITAL: Final = re.compile(r"(?<![\w'\u2019])[A-J](?!\w)")
_NOT: Final = re.compile(r"(?:\bnot|n['\u2019]t|\bcannot|\bnor)\s(?:be\s)?(?:the\s|an?\s)?$")
# Of the line that an option's letter begins; of the others it may say what it likes.
_WRONG: Final = re.compile(
    r"(?:(?!\b(?:because|since|as|while|others?|rest)\b)[^.,;\n]){0,80}?\b(?:(?:is|are|was|were)\s"
    r"(?:\w{1,20}ly\s)?(?:wrong|incorrect|false|not\s(?:the\s)?(?:correct|right|true|answer)\b)"
    r"|(?:is|are|was|were)n['\u2019]t\s(?:the\s)?(?:correct|right|true|answer)\b)",
    re.I,
)


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

    def reads(self, question: Question, answer: str) -> bool:
        return chosen_option(answer, options_of(question.query)) is not None


def options_of(query: str) -> Options:
    """Letter -> text, empty texts where the query lists none. The last list counts: examples may
    come first."""
    listed = {letter: text.strip() for letter, text in _OPTION.findall(plain(query))}
    return listed if len(listed) > 1 else dict.fromkeys(_UNLISTED, "")


def reference_option(reference: str, options: Options) -> str | None:
    """The letter of a reference such as "B", "(b)", "B. text" or an option's text."""
    reference = statements.in_latin(plain(reference))
    for pattern in (_LINE, _HEAD):
        if chosen := _letters(pattern, reference):
            return chosen[0] if chosen[0] in options else None
    same = [letter for letter, text in options.items() if normalised(text) == normalised(reference)]
    return same[0] if len(same) == 1 else None


def chosen_option(answer: str, options: Options) -> str | None:
    """The letter that an answer settles on; None for none and for several."""
    marked = statements.in_latin(final(answer))
    unmarked = _MARKUP.sub("", marked).strip()
    options = {letter: _MARKUP.sub("", text).strip() for letter, text in options.items()}
    unlettered = _without_texts_letters(unmarked, options)
    rules: Sequence[Callable[[], Sequence[str]]] = (
        lambda: [letter for letter in stated(unlettered) if letter != "I" or letter in options],
        lambda: _letters(_LINE, unmarked)[-1:],
        lambda: _heading(unmarked, options),
        lambda: _begun(unlettered),
        lambda: [
            *_unrejected(_BOLD, marked),
            *_unrejected(_POINTED, unlettered),
            *_unrejected(statements.OPTION, unlettered),
        ],
        lambda: _by_text(unmarked, options),
    )
    for rule in rules:
        if chosen := set(rule()):
            letter = chosen.pop()
            return letter if not chosen and letter in options else None
    return None


def _without_texts_letters(answer: str, options: Options) -> str:
    """The C of an option "Vitamin C" is no option's letter."""
    for text in options.values():
        if len(text) > 1 and _CAPITAL.search(text):
            answer = _whole(text).sub(lambda match: _CAPITAL.sub("_", match[0]), answer)
    return answer


def _heading(text: str, options: Options) -> list[str]:
    """The first line's "B) text" that isn't called wrong; nothing where the answer repeats the
    list of options."""
    heads = [head for head in _HEAD.finditer(text) if not _called_wrong(text, head, options)]
    chosen = letters(heads)
    repeats = len(chosen) > 1 and ord(chosen[1]) == ord(chosen[0]) + 1
    return [] if repeats else chosen[:1]


def _called_wrong(text: str, head: re.Match[str], options: Options) -> bool:
    line = text[head.end() - 1 :].partition("\n")[0]
    own = options.get(letters([head])[0], "")
    if own and line.casefold().startswith(own.casefold()):
        line = line[len(own) :]
    return any(rule.match(line) for rule in (_WRONG, statements.WRONG))


def _begun(text: str) -> list[str]:
    """The letter of "C, because ..."."""
    begun = _BEGUN.match(text)
    if begun is None or refuted(text, begun.end(1)):
        return []
    return [begun[1], "?"] if names_another(text, begun.end(1)) else [begun[1]]


def _unrejected(pattern: re.Pattern[str], text: str) -> list[str]:
    found: dict[str, bool] = {}
    for match in pattern.finditer(text):
        letter = letters([match])[0]
        if not found.get(letter):
            found[letter] = not rejected(text, match.start(), match.end())
    return [letter for letter, asserted in found.items() if asserted]


def _by_text(answer: str, options: Options) -> list[str]:
    """Options whose text is in the answer, but not only as a part of another's, and not denied."""
    spoken = normalised(answer).rstrip(".")
    texts = {letter: normalised(text).rstrip(".") for letter, text in options.items() if text}
    equal = [letter for letter, text in texts.items() if text == spoken]
    if equal:
        return equal
    asserted = {letter: text for letter, text in texts.items() if _asserted(text, spoken)}
    return [
        letter
        for letter, text in asserted.items()
        if not any(text != other and _within(text, other) for other in asserted.values())
    ]


def _asserted(text: str, spoken: str) -> bool:
    return any(
        not refuted(spoken, match.end())
        and not _denied_before(spoken[max(0, match.start() - 20) : match.start()])
        for match in _whole(text).finditer(spoken)
    )


def _denied_before(text: str) -> bool:
    return _NOT.search(text) is not None or statements.denies_at_the_end(text)


def _within(part: str, whole: str) -> bool:
    return _whole(part).search(whole) is not None


def _whole(text: str) -> re.Pattern[str]:
    """`text`, and not as a part of other words; no blank parts those of Chinese or Korean."""
    before = rf"(?<![{WORD}])" if re.match(f"[{WORD}]", text) else ""
    after = rf"(?![{WORD}])" if re.search(f"[{WORD}]$", text) else ""
    return re.compile(before + re.escape(text) + after, re.I)


def _letters(pattern: re.Pattern[str], text: str) -> list[str]:
    return letters(list(pattern.finditer(text)))
