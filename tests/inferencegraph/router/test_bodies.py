"""Bodies that are merged come out as Go writes them."""

import time

import pytest

from inferencegraph.router.bodies import content_type, dumps, is_json, loads


@pytest.mark.parametrize(
    ("read", "written"),
    [
        (b'{"b": 1, "a": [1.0, -0.5, 1e3]}', b'{"a":[1,-0.5,1000],"b":1}'),
        (
            b"[1e-6, 1e-7, 1e20, 1e21, -1.5e300]",
            b"[0.000001,1e-7,100000000000000000000,1e+21,-1.5e+300]",
        ),
        (b"[0.1, 12345678901234567890, -0.0, 0]", b"[0.1,12345678901234567000,-0,0]"),
        (b"[true, false, null, {}, []]", b"[true,false,null,{},[]]"),
        (b'"<a&b>"', b'"\\u003ca\\u0026b\\u003e"'),
        (
            '"caf\u00e9 \u2028 \\u00e9 \\n \\u0001"'.encode(),
            '"caf\u00e9 \\u2028 \u00e9 \\n \\u0001"'.encode(),
        ),
        (b'"\\ud800 \\ud83d\\ude00"', '"\ufffd \U0001f600"'.encode()),
        (b'"\xff"', '"\ufffd"'.encode()),
        (b'{"a": 1, "a": 2}', b'{"a":2}'),
    ],
)
def test_values_are_written_as_by_go(read: bytes, written: bytes) -> None:
    assert dumps(loads(read)) == written


@pytest.mark.parametrize("body", [b"", b"{", b"1e999", b"NaN", b"[-Infinity]", b"[" * 100_000])
def test_what_go_cannot_read_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError):
        loads(body)


DEEP = b"[" * 10_001
LINEAR = {
    "a string that does not end": DEEP + b'"' + b'\\"' * 1_000_000,
    "many that do not end": DEEP + b'"\\' * 1_000_000,
    "many that end": DEEP + b'"a\\\\",' * 500_000,
    "one letter after the other": DEEP + b'"' + b"a" * 4_000_000 + b'"',
    "backslashes": DEEP + b'"' + b"\\" * 2_000_001,
    "brackets alone": b"[" * 4_000_000,
    "brackets in a string": b'"' + b"[" * 4_000_000 + b'"',
}


@pytest.mark.parametrize("body", LINEAR.values(), ids=LINEAR.keys())
def test_the_time_to_check_grows_with_the_length_alone(body: bytes) -> None:
    """By the square of it each of these took minutes; the bound is of this process's own time."""
    before = time.process_time()
    is_json(body)
    content_type(body)
    assert time.process_time() - before < 10
