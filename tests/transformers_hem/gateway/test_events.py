"""Events are whole whatever the network makes of them."""

from hypothesis import given, strategies as st

from transformers_hem.gateway.events import Events, event_of, is_done, payload

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


def test_an_event_without_its_end_is_kept() -> None:
    events = Events()
    assert list(events.cut(b"data: 1\n\ndata: [DONE]\n")) == [b"data: 1\n\n"]
    assert is_done(events.rest())


def test_what_an_event_holds() -> None:
    assert [payload(event) for event in EVENTS] == [
        {"a": 1},
        None,
        {"text": "\N{GRINNING FACE} \N{CJK UNIFIED IDEOGRAPH-4E2D}"},
        {"a": 2},
        {"a": 3},
        None,
    ]
    assert payload(event_of({"a": "\n\n"})) == {"a": "\n\n"}
    assert [is_done(event) for event in EVENTS] == [False] * 5 + [True]
    assert is_done(b"data:[DONE]\r\n\r\n")
    assert not is_done(b'data: {"text": "[DONE]"}\n\n')
