"""What a strategy of the mode self-design asks the cloud in a chat, in place of its body."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from predictors.contract.chat import USER
from transformers_hem.algorithms.base import Batch
from transformers_hem.gateway.chat import Chat
from transformers_hem.gateway.redacting import leaving_with
from transformers_hem.gateway.said import CONTINUES
from transformers_hem.serving.decision import Decider, Decision
from transformers_hem.strategies.base import Turn

_TEXT: Final = "text"  # the type of such a part of a message


class Designing:
    """Sets `asked` of the chat where its algorithm, or its strategy alone, decides for the cloud.
    Raises EngineError where the strategy breaks its contract."""

    def __init__(self, decider: Decider, chat: Chat) -> None:
        self._decider = decider
        self._chat = chat

    def __call__(self, decision: Decision) -> tuple[Decision, Batch]:
        """The decision, and what leaves by it: a draft may have what the query has not, so that
        guards of privacy look at both."""
        chat = self._chat
        body = asked_of_cloud(self._decider, chat)
        if body is None:
            return decision.stays(), chat.batch
        leaves = replace(chat.batch, leaving=leaving_with(chat, body))
        kept = self._decider.keeps_private(leaves)
        if kept is None:
            chat.asked = body
        return kept or decision, leaves


def designing(decider: Decider, chat: Chat) -> Designing | None:
    """None where there is no strategy, or the edge's engine asks the cloud itself."""
    strategy = decider.strategy
    return None if strategy is None or strategy.at_edge else Designing(decider, chat)


def asked_of_cloud(decider: Decider, chat: Chat) -> Mapping[str, Any] | None:
    """The body with what the strategy asks; None: it asks nothing. What is no question in words,
    such as token ids or an answer that is to go on, is asked as it is."""
    body = chat.body
    if body.get("messages") is None:
        return _completion(decider, body, _drafts(chat))
    messages = body["messages"]
    if messages[-1].get("role") != USER or body.get(CONTINUES):
        return body
    query, others = _parts(messages[-1].get("content"))
    if not query.strip():
        return body
    asked = decider.asks(Turn(query, next(iter(_drafts(chat)), "")))
    if asked is None:
        return None
    content = [*others, {"type": _TEXT, _TEXT: asked}] if others else asked
    return {**body, "messages": [*messages[:-1], {**messages[-1], "content": content}]}


def _completion(
    decider: Decider, body: Mapping[str, Any], drafts: Sequence[str]
) -> Mapping[str, Any] | None:
    prompt = body.get("prompt")
    prompts = prompt if isinstance(prompt, list) else [prompt]
    if body.get("echo") or not all(isinstance(each, str) and each.strip() for each in prompts):
        return body
    if len(drafts) != len(prompts):
        drafts = [""] * len(prompts)
    rows = list(zip(prompts, drafts, strict=True))
    asked = [decider.asks(Turn(query, draft)) for query, draft in rows]
    if all(text is None for text in asked):
        return None
    texts = [row[0] if text is None else text for row, text in zip(rows, asked, strict=True)]
    return {**body, "prompt": texts if isinstance(prompt, list) else texts[0]}


def _drafts(chat: Chat) -> list[str]:
    """The edge's answer to each question of the request: of several choices the first."""
    if chat.draft is None:
        return []
    return [answer.text for answer in chat.draft.answer.answers[:: chat.body.get("n") or 1]]


def _parts(content: Any) -> tuple[str, list[Any]]:
    """The text of a message, and its other parts, such as images."""
    if not isinstance(content, list):
        return content if isinstance(content, str) else "", []
    texts = [part[_TEXT] for part in content if part.get("type") == _TEXT]
    return "".join(texts), [part for part in content if part.get("type") != _TEXT]
