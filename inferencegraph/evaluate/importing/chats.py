"""Conversations and answers, as requests and answers of OpenAI's API have them
(https://platform.openai.com/docs/api-reference/chat)."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from inferencegraph.evaluate.importing.report import LeftOut, Place, Report
from inferencegraph.evaluate.importing.rows import Pair, Row, amount, count, known_fields, of_side
from predictors.contract.chat import ASSISTANT, DEVELOPER, SYSTEM, USER

NO_TEXT: Final = "with an answer that is no text, but a call of a tool or a refusal"
_INSTRUCTIONS: Final = (SYSTEM, DEVELOPER)
_TEXT_PARTS: Final = {
    "text": "text",
    "input_text": "text",
    "output_text": "text",
    "refusal": "refusal",
}
_KEPT: Final = ("name", "tool_calls", "tool_call_id")


class Conversation(NamedTuple):
    """The last text of the user, the conversation with it, and what an assistant said behind it.
    `answer` is None where nobody answered, and empty where the answer is no text."""

    query: str
    messages: list[dict[str, Any]]
    answer: str | None

    def fields(self) -> Row:
        """`query`, and `messages` where there is more than it."""
        if len(self.messages) == 1:
            return {"query": self.query}
        return {"query": self.query, "messages": self.messages}


def conversation(messages: object, keep_system: bool) -> Conversation:
    """The query is what a gateway mines: the last message of the user. Raises LeftOut for what is
    no conversation with a text of a user."""
    if isinstance(messages, dict):  # as a list that OpenAI's API returns
        messages = messages.get("data")
    if not isinstance(messages, list) or not messages:
        raise LeftOut("no messages")
    turns = [_turn(message) for message in messages]
    if not keep_system:
        turns = [turn for turn in turns if turn["role"] not in _INSTRUCTIONS]
    answer = None
    if turns and turns[-1]["role"] == ASSISTANT:
        answer = "" if "tool_calls" in turns[-1] else turns[-1]["content"]
        turns.pop()
    for turn in reversed(turns):
        if turn["role"] == USER:
            return Conversation(turn["content"], turns, answer)
    raise LeftOut("no message of a user")


def _turn(message: object) -> dict[str, Any]:
    role = message.get("role") if isinstance(message, dict) else None
    if not isinstance(message, dict) or not isinstance(role, str):
        raise LeftOut("a message without a role")
    turn = {"role": role, "content": _text(message.get("content"))}
    for name in _KEPT:
        if message.get(name):
            turn[name] = message[name]
    return turn


def _text(content: object) -> str:
    """Of a string, null, or parts that are text. Raises LeftOut for images and the like, which no
    row can have."""
    if isinstance(content, str):
        return content
    if content is None:
        return ""
    if not isinstance(content, list):
        raise LeftOut("a message whose content is no text")
    texts: list[str] = []
    for part in content:
        kind = part.get("type") if isinstance(part, dict) else None
        if not isinstance(kind, str) or kind not in _TEXT_PARTS:
            raise LeftOut("images or other parts in messages", f"a part of type {kind!r}")
        value = part.get(_TEXT_PARTS[kind])
        texts.append(value if isinstance(value, str) else "")
    return "".join(texts)


class Completion(NamedTuple):
    """An answer of the API. `text` is empty where it is no text, `model` None where it isn't told;
    `created` is in Unix seconds."""

    text: str
    truncated: bool
    model: str | None
    prompt_tokens: int | None
    completion_tokens: int | None
    created: float | None


def completion(body: object) -> Completion | None:
    """The first choice of an answer's body; None for what is no answer."""
    if not isinstance(body, dict):
        return None
    choices = body.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(choice, dict):
        return None
    message = choice.get("message")
    content = message.get("content") if isinstance(message, dict) else choice.get("text")
    usage = body.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    model = body.get("model")
    return Completion(
        content if isinstance(content, str) else "",
        choice.get("finish_reason") == "length",
        model if isinstance(model, str) else None,
        count(usage.get("prompt_tokens")),
        count(usage.get("completion_tokens")),
        amount(body.get("created")),
    )


def chat_row(
    request: Mapping[str, Any],
    response: object,
    pair: Pair,
    keep_system: bool,
    place: Place,
    report: Report,
) -> Row:
    """Of a request of the API, a chat or an old completion, and its answer where there is one.
    Raises LeftOut."""
    asked = _asked(request, keep_system)
    answered = completion(response)
    row = asked.fields()
    model = request.get("model")
    if answered is None:
        if asked.answer is None:
            return row
        answered = Completion(asked.answer, False, None, None, None, None)
    side = pair.side_of(name for name in (answered.model, model) if name is not None)
    if not answered.text.strip():
        report.note(place, NO_TEXT)
    name = answered.model or (model if isinstance(model, str) else None)
    row |= of_side(
        side,
        answer=answered.text if answered.text.strip() else None,
        model=name,
        prompt_tokens=answered.prompt_tokens,
        completion_tokens=answered.completion_tokens,
    )
    return row | known_fields(truncated=answered.truncated or None, time=answered.created)


def _asked(request: Mapping[str, Any], keep_system: bool) -> Conversation:
    prompt = request.get("prompt")
    if "messages" not in request and isinstance(prompt, str):
        return Conversation(prompt, [{"role": USER, "content": prompt}], None)
    return conversation(request.get("messages"), keep_system)
