"""What is in an event that goes through the gateway."""

from tests.predictors.upstream.test_events import EVENTS
from transformers_hem.gateway.events import event_of, is_done, payload


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
    for event in (b"data:[DONE]\r\n\r\n", b"id: 3\ndata: [DONE]\n\n", b"\ndata: [DONE]\n\n"):
        assert is_done(event)
    assert not is_done(b'data: {"text": "[DONE]"}\n\n')
