"""What is right, as far as it is the same for several faults. Each verdict says what was wrong, in
one line; an empty one is right. None knows which proxy it judges."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.faults.caller import Seen
from tests.faults.provider import Provider


@dataclass(frozen=True)
class Played:
    """What came of one case: what the caller saw of each request, in their order, and, of the
    providers, what they were asked. `limit`: seconds that a caller waits. `down`: from when until
    when the primary was down (perf_counter), where it was."""

    asked: Sequence[Seen]
    primary: Provider
    fallback: Provider
    limit: float
    down: tuple[float, float] = (0.0, 0.0)

    @property
    def texts(self) -> tuple[str, str]:
        return self.primary.text, self.fallback.text


def not_whole(seen: Seen, played: Played) -> str:
    """Why it is no whole answer: the text of one provider from its first character to its last,
    and an end that says so."""
    if seen.broken:
        return f"lost: {seen.broken}"
    if seen.error:
        return f"an error: {_said(seen.error)}"
    if seen.status != 200:
        return f"status {seen.status}"
    if seen.text not in played.texts:
        return _differs(seen.text, played.texts)
    if seen.finish != "stop":
        return f"a whole text, but finish_reason {seen.finish}"
    if seen.streamed and not seen.done:
        return "a whole text, but no [DONE]"
    return ""


def not_honest(seen: Seen, played: Played) -> str:
    """Why it is neither a whole answer nor an error that says so."""
    if seen.broken or not seen.error:
        return not_whole(seen, played)
    if not _is_openais(seen.error):
        return f"an error that is not of OpenAI's shape: {seen.error!r:.60}"
    if seen.finish is not None:
        return f"an error, and finish_reason {seen.finish}"
    return "an error, and [DONE] behind it" if seen.done else ""


def all_whole(played: Played) -> str:
    wrong = [why for seen in played.asked if (why := not_whole(seen, played))]
    return _of_many(wrong, len(played.asked))


def all_honest(played: Played) -> str:
    wrong = [why for seen in played.asked if (why := not_honest(seen, played))]
    return _of_many(wrong, len(played.asked))


def more_calls(played: Played, most: int) -> str:
    count = len(played.primary.calls)
    return f"the primary was asked {count} times" if count > most else ""


def _is_openais(error: Any) -> bool:
    return isinstance(error, dict) and bool(error.get("message"))


def _said(error: Any) -> str:
    message = error.get("message") if isinstance(error, dict) else error
    return f"{message:.100}" if isinstance(message, str) else repr(error)[:100]


def _differs(text: str, texts: Sequence[str]) -> str:
    words = text.split()
    if not words:
        return "no text, called a success"
    for whole in texts:
        if whole.startswith(text):
            share = f"{len(text)} of {len(whole)} characters"
            return f"truncated, called a success: {share}"
    if len(set(words)) < len(words):
        return "a text with words twice, called a success"
    both = all(any(word in whole.split() for word in words) for whole in texts)
    return "a text with a hole" if not both else "a text of both"


def _of_many(wrong: Sequence[str], count: int) -> str:
    if not wrong:
        return ""
    return wrong[0] if count == 1 else f"{len(wrong)} of {count}, such as {wrong[0]}"
