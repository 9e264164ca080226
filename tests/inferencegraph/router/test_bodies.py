"""Bodies that are merged come out as Go writes them."""

import pytest

from inferencegraph.router.bodies import dumps, loads


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
