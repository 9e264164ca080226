"""The conversation in a chat request."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from predictors.contract.chat import ASSISTANT, ROLES, TOOL, USER, Message
from predictors.contract.openai.errors import InvalidField
from predictors.errors import known

TEXT_PARTS: Final = frozenset({"text", "refusal"})  # types of parts whose text is a text
FIELDS: Final = frozenset({"role", "content", "name", "tool_calls", "tool_call_id", "refusal"})
# What an answer of ours, or of an upstream, may hold beside: clients send it back as it came.
IGNORED: Final = frozenset({"audio", "annotations", "function_call", "reasoning_content"})
# The JSON schema of what parse_messages takes, but for what depends on other messages.
MESSAGES_SCHEMA: Final[dict[str, Any]] = {
    "type": "array",
    "minItems": 1,
    "items": {
        "type": "object",
        "required": ["role"],
        "properties": {
            "role": {"enum": list(ROLES)},
            "content": {
                "anyOf": [
                    {"type": "string"},
                    {"type": "null"},
                    {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": ["type"],
                            "properties": {"type": {"type": "string"}},
                        },
                    },
                ]
            },
            "name": {"type": ["string", "null"]},
            "tool_call_id": {"type": ["string", "null"]},
            "tool_calls": {
                "anyOf": [
                    {"type": "null"},
                    {
                        "type": "array",
                        "minItems": 1,
                        "items": {
                            "type": "object",
                            "required": ["id", "function"],
                            "properties": {
                                "id": {"type": "string"},
                                "function": {
                                    "type": "object",
                                    "required": ["name", "arguments"],
                                    "properties": {
                                        "name": {"type": "string"},
                                        "arguments": {"type": "string"},
                                    },
                                },
                            },
                        },
                    },
                ]
            },
            **{name: {} for name in sorted({"refusal"} | IGNORED)},
        },
        "additionalProperties": False,
    },
}


def parse_messages(messages: Any, *, text_alone: bool = True) -> tuple[Message, ...]:
    """The messages of a chat request. Parts of a content that are not text, such as images, are
    refused, or left out where `text_alone` is False. Raises InvalidField with the path of what is
    wrong."""
    if not isinstance(messages, list) or not messages:
        raise InvalidField("messages must be a list with at least one message", "messages")
    parsed: list[Message] = []
    for index, message in enumerate(messages):
        parsed.append(_message(message, f"messages[{index}]", parsed, text_alone))
    return tuple(parsed)


def last_query(messages: tuple[Message, ...]) -> str:
    """The last user message; where there is none, the last message."""
    users = [message for message in messages if message.role == USER]
    return (users or messages)[-1].content


def _message(message: Any, path: str, before: list[Message], text_alone: bool) -> Message:
    if not isinstance(message, dict):
        raise InvalidField(f"{path} must be an object", path)
    role = message.get("role")
    if role not in ROLES:
        raise InvalidField(
            f"{path}.role must be a role, not {role!r}; {known(role, ROLES)}", f"{path}.role"
        )
    for name in message.keys() - FIELDS - IGNORED:
        raise InvalidField(f"{path} has an unknown field {name!r}", f"{path}.{name}")
    for name in IGNORED & message.keys():
        if message[name] and role != ASSISTANT:
            raise InvalidField(f"{path}.{name} belongs to an assistant's message", f"{path}.{name}")
    fields = dict(_fields(message, path, role))
    if role == TOOL and not (before and _answers_tools(before)):
        raise InvalidField(
            f"{path} has role 'tool' but stands behind no message with tool_calls", f"{path}.role"
        )
    content = message.get("content")
    if content is None and not (
        role == ASSISTANT and ("tool_calls" in fields or "refusal" in message)
    ):
        raise InvalidField(f"{path}.content is required", f"{path}.content")
    return Message(role, _text(content, f"{path}.content", text_alone), fields)


def _answers_tools(before: list[Message]) -> bool:
    return before[-1].role == TOOL or "tool_calls" in before[-1].fields


def _fields(message: Mapping[str, Any], path: str, role: str) -> Iterator[tuple[str, Any]]:
    for name in ("name", "tool_call_id"):
        if (value := message.get(name)) is not None:
            yield name, _string(value, f"{path}.{name}")
    if role == TOOL and not message.get("tool_call_id"):
        raise InvalidField(f"{path}.tool_call_id is required", f"{path}.tool_call_id")
    calls = message.get("tool_calls")
    if calls is None:
        return
    if role != ASSISTANT or not isinstance(calls, list) or not calls:
        raise InvalidField(
            f"{path}.tool_calls must be a list of an assistant's calls", f"{path}.tool_calls"
        )
    yield "tool_calls", [_call(c, f"{path}.tool_calls[{i}]") for i, c in enumerate(calls)]


def _call(call: Any, path: str) -> dict[str, Any]:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict):
        raise InvalidField(f"{path}.function must be an object", f"{path}.function")
    for name in ("name", "arguments"):
        _string(function.get(name), f"{path}.function.{name}")
    _string(call.get("id"), f"{path}.id")
    return dict(call)


def _text(content: Any, path: str, text_alone: bool) -> str:
    """Of a string, null, or parts that are text."""
    if content is None:
        return ""
    if isinstance(content, str):
        return _string(content, path)
    if not isinstance(content, list):
        raise InvalidField(f"{path} must be a string or a list of parts", path)
    parts = (_part(part, f"{path}[{i}]", text_alone) for i, part in enumerate(content))
    return "".join(parts)


def _part(part: Any, path: str, text_alone: bool) -> str:
    kind = part.get("type") if isinstance(part, dict) else None
    if not isinstance(kind, str):
        raise InvalidField(f"{path} must be an object with a type", path)
    if kind not in TEXT_PARTS:
        if not text_alone:
            return ""
        raise InvalidField(
            f"{path} has type {kind!r}; this model takes text alone", f"{path}.type", "unsupported"
        )
    return _string(part.get(kind), f"{path}.{kind}")


def _string(value: Any, path: str) -> str:
    if not isinstance(value, str):
        raise InvalidField(f"{path} must be a string", path)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidField(f"{path} has a lone surrogate", path) from None
    return value
