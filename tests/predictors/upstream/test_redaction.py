"""A key stays out of every error, whatever its length and however a far side repeats it."""

import pytest

from predictors.upstream.redaction import MAX_REASON, Redaction

KEY = "sk-0123456789abcdef"


@pytest.mark.parametrize(
    ("value", "text", "said"),
    [
        (f"Bearer {KEY}", f"bad credentials: Bearer {KEY}!", "bad credentials: ***!"),
        (f"Bearer {KEY}", f"Incorrect API key provided:{KEY}x", "Incorrect API key provided:***x"),
        (f"Bearer {KEY}", "a Bearer token is missing", "a Bearer token is missing"),
        ("Bearer k3y!", "no such key: k3y!", "no such key: ***"),
        ("abc", "the key abc, in abcdef", "the key ***, in abcdef"),
        ("user pass1234", "pass1234 is not that of user", "*** is not that of ***"),
        ('Bearer "q\\1"', r'{"detail": "\"q\\1\""}', '{"detail": "***"}'),
        ("", "nothing is secret", "nothing is secret"),
    ],
)
def test_a_key_is_struck_out(value: str, text: str, said: str) -> None:
    assert Redaction([value]).reason(text) == said


def test_a_key_across_the_end_of_the_reason_leaves_no_half() -> None:
    text = "x" * (MAX_REASON - 6) + f" {KEY}"
    reason = Redaction([f"Bearer {KEY}"]).reason(text)
    assert reason.endswith("x ***")
    assert len(reason) <= MAX_REASON


def test_a_key_that_holds_another_is_struck_out_whole() -> None:
    assert Redaction(["abcd", "abcdefgh"]).reason("abcdefgh and abcd") == "*** and ***"
