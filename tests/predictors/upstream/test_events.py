"""Events are whole whatever the network makes of them, and say the same in all their forms."""

import pytest
from hypothesis import given, strategies as st

from predictors.upstream.openai.events import Events, read_event

EVENTS = [
    b'data: {"a": 1}\n\n',
    b": ping\n\n",
    'data: {"text": "\N{GRINNING FACE} \N{CJK UNIFIED IDEOGRAPH-4E2D}"}\n\n'.encode(),
    b'data: {"a": 2}\r\n\r\n',
    b'event: x\ndata: {"a":\ndata: 3}\n\n',
    b"data: [DONE]\n\n",
]


@given(st.lists(st.sampled_from(EVENTS)), st.lists(st.integers(1, 40)))
def test_chunks_of_any_size_are_the_same_events(sent: list[bytes], sizes: list[int]) -> None:
    data, cut, at = b"".join(sent), [], 0
    events = Events()
    for size in [*sizes, len(data) + 1]:
        cut += list(events.cut(data[at : at + size]))
        at += size
    assert cut == sent
    assert events.rest() == b""


def test_an_end_is_found_where_the_network_cuts_it() -> None:
    for end in (b"\n\n", b"\r\n\r\n", b"\r\r", b"\n\r\n"):
        events, found = Events(), []
        for byte in b"data: 1" + end + b"data: 2" + end:
            found += events.cut(bytes([byte]))
        assert [read_event(event).data for event in found] == [b"1", b"2"]
        assert events.rest() == b""


def test_an_event_without_its_end_is_kept() -> None:
    events = Events()
    assert list(events.cut(b"data: 1\n\ndata: [DONE]\n")) == [b"data: 1\n\n"]
    assert events.rest() == b"data: [DONE]"


def test_what_arrives_alone_and_whole_is_not_held_back() -> None:
    events = Events()
    assert [events.cut(event) for event in EVENTS] == [[event] for event in EVENTS]


@pytest.mark.parametrize(
    ("event", "name", "data"),
    [
        (b"data: 1\n\n", "", b"1"),
        (b"data:1\n\n", "", b"1"),
        (b"data:  1\n\n", "", b" 1"),
        (b"data: 1\r\n\r\n", "", b"1"),
        (b"data: 1\rdata: 2\r\r", "", b"1\n2"),
        (b"event: error\ndata: 1\n\n", "error", b"1"),
        (b"data: 1\nid: 7\n\n", "", b"1"),
        (b"\xef\xbb\xbfdata: 1\n\n", "", b"1"),
        (b"\ndata: 1\n\n", "", b"1"),
        (b": data: 1\n\n", "", b""),
        (b"data\n\n", "", b""),
    ],
)
def test_what_an_event_says(event: bytes, name: str, data: bytes) -> None:
    assert read_event(event) == (name, data)
