"""Puts back in an answer what the placeholders of its request stand for, whole or as it streams."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from transformers_hem.guards.placeholders import Placeholders, Written

# Where an answer's texts are, and what of these is no text.
_TEXTS: Final = ("delta", "message", "text")
_KEPT: Final = frozenset({"role", "type", "id", "index"})
_FORMS: Final[Mapping[str, Written]] = {"arguments": Written.JSON, "name": Written.NAME}
_JSON_FORMATS: Final = frozenset({"json_object", "json_schema"})

_Key = str | int
# Where a text is in a choice; the parts of one that streams have the same.
_Path = tuple[_Key, ...]
_Change = Callable[[_Path, str], str]


class Restorer:
    """Of one answer to a request that was `asked` with `placeholders`. What may be the beginning of
    a placeholder waits for more of its text, or for the end."""

    def __init__(self, placeholders: Placeholders, asked: Mapping[str, Any]) -> None:
        self._placeholders = placeholders
        wanted = (asked.get("response_format") or {}).get("type")
        self._contents = Written.JSON if wanted in _JSON_FORMATS else Written.TEXT
        self._held: dict[_Path, str] = {}
        self._last: dict[str, Any] = {}
        self._waits = True

    def whole(self, body: dict[str, Any]) -> None:
        for choice in body.get("choices") or ():
            _change(choice, (), self._put_back)

    def rewrite(self, data: dict[str, Any]) -> dict[str, Any] | None:
        """An event with what can go out by now; None where that is nothing."""
        self._last = data
        for choice in data.get("choices") or ():
            if not isinstance(choice, dict):
                continue
            index = choice.get("index", 0)
            held = len(self._held)
            _change(choice, (index,), self._piece)
            if choice.get("finish_reason"):
                self._let_go(choice, index)
            elif len(self._held) > held and _is_empty(data):
                return None
        return data

    def rest(self) -> dict[str, Any] | None:
        """An event with what still waits, where a stream ends without a word; None for nothing."""
        self._waits = False
        choices: dict[_Key, dict[str, Any]] = {}
        for path, text in self._held.items():
            choice = choices.setdefault(path[0], {"index": path[0], "finish_reason": None})
            _append(choice, path[1:], text)
        self._held = {}
        return {**self._last, "choices": list(choices.values())} if choices else None

    def _put_back(self, path: _Path, text: str) -> str:
        return self._placeholders.put_back(text, self._form(path))

    def _piece(self, path: _Path, text: str) -> str:
        form = self._form(path)
        text = self._placeholders.put_back(self._held.pop(path, "") + text, form)
        if self._waits and (held := self._placeholders.held(text, form)):
            self._held[path] = text[-held:]
            text = text[:-held]
        return text

    def _form(self, path: _Path) -> Written:
        name = path[-1]
        if name == "content":
            return self._contents
        return _FORMS.get(str(name), Written.TEXT)

    def _let_go(self, choice: dict[str, Any], index: _Key) -> None:
        """What was no beginning after all."""
        for path in [path for path in self._held if path[0] == index]:
            _append(choice, path[1:], self._held.pop(path))


def _change(choice: dict[str, Any], path: _Path, change: _Change) -> None:
    for name in _TEXTS:
        if choice.get(name):
            choice[name] = _changed(choice[name], (*path, name), change)


def _changed(value: Any, path: _Path, change: _Change) -> Any:
    if isinstance(value, str):
        return change(path, value)
    if isinstance(value, dict):
        for name, each in value.items():
            if name not in _KEPT and each:
                value[name] = _changed(each, (*path, name), change)
    elif isinstance(value, list):
        for number, each in enumerate(value):
            value[number] = _changed(each, (*path, _key(number, each)), change)
    return value


def _key(number: int, each: Any) -> int:
    """A call of a tool says which one it goes on with."""
    index = each.get("index") if isinstance(each, dict) else None
    return index if type(index) is int else number


def _append(value: dict[str, Any], path: _Path, text: str) -> None:
    """To the text at `path`, where there may be none yet."""
    name, *rest = path
    if not rest:
        value[str(name)] = (value.get(str(name)) or "") + text
        return
    if isinstance(rest[0], str):
        if not isinstance(value.get(str(name)), dict):
            value[str(name)] = {}
        return _append(value[str(name)], tuple(rest), text)
    items = value.get(str(name)) or []
    value[str(name)] = items
    index, *rest = rest
    item = next((each for n, each in enumerate(items) if _key(n, each) == index), None)
    if item is None:
        item = {"index": index}
        items.append(item)
    _append(item, tuple(rest), text)


def _is_empty(data: Mapping[str, Any]) -> bool:
    """Whether an event says nothing now that a part of it is held back."""
    if data.get("usage"):
        return False
    return not any(_says(choice) for choice in data["choices"])


def _says(choice: Mapping[str, Any]) -> bool:
    if choice.get("finish_reason") or choice.get("text") or choice.get("logprobs"):
        return True
    return any(each for each in (choice.get("delta") or {}).values())
