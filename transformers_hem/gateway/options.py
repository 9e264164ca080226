"""What an operator chooses of a gateway: names, as settings have them."""

from typing import Any, Literal

# What becomes of a stream that breaks off: an error, or the other side goes on; so it does behind
# sentences that are sent, where a later one is hard.
OnBreak = Literal["error", "continue"]
# When the edge's answer is mined: whole, at the end of each sentence, or after so many tokens.
DecideAt = Literal["end", "sentence"] | int
# Whether there is a page; auto: where nobody but this machine can reach the server.
UI = Literal["auto", "on", "off"]


def read_decide_at(value: Any) -> Any:
    """None where nothing is chosen. Raises ValueError."""
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value)
    if value in (None, "end", "sentence") or (type(value) is int and value > 0):
        return value
    raise ValueError("must be a number of tokens, sentence, or end")
