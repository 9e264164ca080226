"""What of a chat leaves for the cloud: nothing that a guard of privacy keeps at the edge, and with
placeholders what a guard redacts."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from prometheus_client import Counter

from predictors.errors import HEMError
from transformers_hem.algorithms.base import Leaving
from transformers_hem.gateway.attempt import Attempt
from transformers_hem.gateway.chat import Chat
from transformers_hem.guards.base import Redacted
from transformers_hem.serving.decision import Decider

_REDACTED: Final = Counter(
    "hem_redacted_total",
    "Private items that left the edge as placeholders, in each call of the cloud.",
    ["kind"],
)
_MOST_KINDS: Final = 12  # of which a line of the ledger tells
_NOT_TOLD: Final = re.compile(r"[^\w.-]", re.ASCII)


class Kept(HEMError):
    """Nobody sends on purpose what a guard keeps; nothing is sent by mistake either."""

    status = 503


def leaving_with(chat: Chat, body: Mapping[str, Any]) -> Leaving:
    """Of the chat's own body, or of another one that goes on with it."""
    if body is chat.body:
        return chat.leaving
    redactable = body if chat.leaving.body is not None else None
    return Leaving((body,), chat.leaving.private, redactable, before=chat.leaving)


def redacted(
    decider: Decider, chat: Chat, attempt: Attempt, body: Mapping[str, Any]
) -> Redacted | None:
    """What leaves instead of `body`, by `attempt`; None: the body. Raises Kept."""
    if not decider.private_guards:
        return None
    leaving = leaving_with(chat, body)
    if decider.is_private(replace(chat.batch, leaving=leaving)):
        raise Kept("a guard of privacy keeps this request at the edge")
    by_guard = decider.redacted(leaving)
    attempt.verdicts = " ".join(
        f"{_told(name)}@{decider.guards[name].version}={'redacted' if found else 'clear'}"
        for name, found in by_guard.items()
    )
    found = next((each for each in by_guard.values() if each is not None), None)
    if found is not None:
        attempt.redacted = dict(found.placeholders.kinds)
        kinds = [f"{_told(kind)}={n}" for kind, n in attempt.redacted.items()]
        attempt.verdicts = " ".join([attempt.verdicts, *kinds[:_MOST_KINDS]])
        for kind, count in attempt.redacted.items():
            _REDACTED.labels(kind).inc(count)
    return found


def _told(name: str) -> str:
    """As a line of the ledger takes it."""
    return _NOT_TOLD.sub("_", name)[:40]
