"""Requests to OpenAI's paths that are valid but for what went wrong on their way, at any depth."""

import copy
import gzip
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from hypothesis import strategies as st

Path: TypeAlias = tuple[str | int, ...]

CALL: Final = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
CHATS: Final[list[dict[str, Any]]] = [
    {"messages": [{"role": "user", "content": "1 + 1?"}]},
    {
        "messages": [
            {"role": "system", "content": "Add."},
            {"role": "user", "content": [{"type": "text", "text": "1 + 1?"}]},
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
            {"role": "tool", "content": "2", "tool_call_id": "c1"},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}],
        "tool_choice": "auto",
    },
    {
        "messages": [{"role": "user", "content": "1 + 1?", "name": "me"}],
        **{"temperature": 0.5, "top_p": 0.9, "seed": 1, "stop": ["x"], "n": 2, "max_tokens": 4},
        **{"logprobs": True, "top_logprobs": 2, "presence_penalty": 0.1, "logit_bias": {}},
        **{"response_format": {"type": "text"}, "metadata": {"a": "b"}, "user": "me"},
    },
    {
        "messages": [
            {"role": "user", "content": "What is 47 + 385?"},
            {"role": "assistant", "content": "4"},
        ],
        **{"continue_final_message": True, "add_generation_prompt": False},
    },
    {
        "messages": [{"role": "user", "content": "1 + 1?"}],
        **{"stream": True, "stream_options": {"include_usage": True}},
    },
]
COMPLETIONS: Final[list[dict[str, Any]]] = [
    {"prompt": "1 + 1 ="},
    {"prompt": ["1 + 1 =", "2 + 2 ="], "n": 2, "best_of": 2, "max_tokens": 4},
    {"prompt": [20, 21, 22], "echo": True, "logprobs": 2, "max_tokens": 0},
    {"prompt": [[20, 21], [22]], "stream": True, "stop": "x", "seed": -1},
]
ODD: Final[list[Any]] = [
    *(None, True, False, 0, -1, 1, 2, 0.5, -0.0, 1e308, 5e-324, 2**31, 2**63, -(2**63) - 1, 10**40),
    *(
        "",
        " ",
        "x",
        "\x00",
        "é🙂",
        "\ud800",
        "null",
        "1",
        "a" * 20_000,
        "\N{COMBINING ACUTE ACCENT}",
    ),
    *([], {}, [[]], [None], {"": None}, [[[[]]]], {"role": "user"}, {"type": "image_url"}),
    *(["x"] * 300, [-1], [2**70], [0.5], "assistant", "tool", "developer", "json_object"),
]
NAMES: Final = ["", "x", "role", "content", "echo", "suffix", "functions", "__proto__", "a.b[0]"]
PATHS: Final = ["/v1/chat/completions", "/v1/completions", "/openai/v1/chat/completions"]
ODD_PATHS: Final = [
    *("/v1/chat/completions/", "/v1//completions", "/v1/completions%00", "/v1/embeddings"),
    *("/v1/completions?x=%ff", "/V1/completions", "/v1/responses", "/v1/chat", "/v1/models"),
]
HEADERS: Final[list[dict[str, bytes]]] = [
    {},
    {"content-type": b"text/plain"},
    {"content-type": b"application/json; charset=utf-16"},
    {"content-type": b"multipart/form-data; boundary=x"},
    {"content-type": b"\xff"},
    {"content-encoding": b"gzip"},
    {"content-encoding": b"br"},
    {"content-encoding": b"deflate, gzip"},
    {"x-request-id": b"\xc3\xa9" * 200},
    {"authorization": b"Bearer \xff"},
    {"accept": b"text/event-stream"},
    {"inference-header-content-length": b"7"},
    {"inference-header-content-length": b"-1"},
    {"expect": b"nothing"},
    {"traceparent": b"x"},
]


@dataclass
class Odd:
    path: str
    content: bytes
    headers: dict[str, bytes] = field(default_factory=dict)
    method: str = "POST"


def places(value: Any, path: Path = ()) -> Iterator[Path]:
    yield path
    inner = value.items() if isinstance(value, dict) else ()
    inner = enumerate(value) if isinstance(value, list) else inner
    for name, each in inner:
        yield from places(each, (*path, name))


@st.composite
def bodies(draw: st.DrawFn, model: str) -> tuple[str, Any]:
    """A path, and a valid body after up to three changes."""
    path = draw(st.sampled_from(PATHS))
    valid = draw(st.sampled_from(CHATS if "chat" in path else COMPLETIONS))
    body: Any = json.loads(json.dumps({"model": model, "max_tokens": 4, **valid}))
    for _ in range(draw(st.integers(0, 3))):
        body = changed(draw, body)
    return path, body


def changed(draw: st.DrawFn, body: Any) -> Any:
    """At one place: another value, a field more, or one less, twice, or in another order."""
    place = draw(st.sampled_from(list(places(body))))
    odd = copy.deepcopy(draw(st.sampled_from(ODD)))  # a later change may be inside of it
    if not place:
        return odd if draw(st.integers(0, 9)) == 0 else body
    holder = body
    for name in place[:-1]:
        holder = holder[name]
    last: Any = place[-1]
    change = draw(st.sampled_from(["replace", "replace", "remove", "add", "nest", "swap"]))
    if change == "replace":
        holder[last] = odd
    elif change == "remove":
        del holder[last]
    elif change == "nest":
        holder[last] = [holder[last]]
    elif change == "add" and isinstance(holder, dict):
        holder[draw(st.sampled_from(NAMES))] = odd
    elif isinstance(holder, list):
        holder[:] = holder[::-1] if change == "swap" else [*holder, *holder]
    return body


WRITTEN: Final[dict[str, Callable[[bytes], bytes]]] = {
    "as it is": lambda text: text,
    "cut off": lambda text: text[: len(text) * 2 // 3],
    "with more behind it": lambda text: text + b"}",
    "twice": lambda text: text + text,
    "a field twice": lambda text: b'{"model": 1, ' + text[1:],
    "NaN": lambda text: text.replace(b"4", b"NaN"),
    "a huge number": lambda text: text.replace(b"4", b"1" * 5_000),
    "an exponent": lambda text: text.replace(b"4", b"1e999"),
    "no UTF-8": lambda text: text.replace(b"1", b"\xff\xfe"),
    "UTF-16": lambda text: text.decode(errors="replace").encode("utf-16"),
    "a byte order mark": lambda text: b"\xef\xbb\xbf" + text,
    "deep": lambda text: text.replace(b"4", b"[" * 3_000 + b"]" * 3_000),
    "deeper": lambda text: b'{"messages": ' * 100_000,
    "compressed": gzip.compress,
    "nothing": lambda text: b"",
}


@st.composite
def odd_requests(draw: st.DrawFn, model: str) -> Odd:
    path, body = draw(bodies(model))
    how = draw(st.one_of(st.just("as it is"), st.sampled_from(sorted(WRITTEN))))
    content = WRITTEN[how](json.dumps(body).encode())
    headers = draw(st.one_of(st.just({}), st.sampled_from(HEADERS)))
    if draw(st.integers(0, 29)) == 0:
        path = draw(st.sampled_from(ODD_PATHS))
    method = "POST" if draw(st.integers(0, 49)) else draw(st.sampled_from(["GET", "PUT", "BREW"]))
    return Odd(path, content, {"content-type": b"application/json", **headers}, method)
