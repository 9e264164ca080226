"""Conditions against what Go's gjson found."""

import json
import time
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from inferencegraph.router.bodies import is_json
from inferencegraph.router.conditions import Condition
from predictors.errors import ConfigurationError

# The paths of conformance/conditions.jsonl that pygjson can't evaluate, and why.
LACKING = {
    "@keys": "the modifier @keys",
    "parameters.@keys.0": "the modifier @keys",
    "parameters|@keys": "the modifier @keys",
    "@values": "the modifier @values",
    "@tostr": "the modifier @tostr",
    "@fromstr": "the modifier @fromstr",
    "!true": "a literal",
    '!"lit"': "a literal",
    "[@this].#(!error)": "the operand '!error'",
    "[@this].#(parameters.hem_hard==~true)": "the operand '~true'",
    "[@this].#(parameters.hem_hard==~false)": "the operand '~false'",
}
REQUEST = json.dumps(
    {"id": "", "a.b": 1, "@type": "x", "list": [], "parameters": {"hem_route": "cloud", "n": 7}}
).encode()


def test_every_condition_finds_what_gos_gjson_finds_or_is_refused(shared: Path) -> None:
    lines = (shared / "conformance" / "conditions.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    refused: set[str] = set()
    wrong: list[dict[str, object]] = []
    for row in rows:
        try:
            condition = Condition(row["path"])
        except ConfigurationError:
            refused.add(row["path"])
            continue
        if condition.holds(row["json"].encode()) != row["exists"]:
            wrong.append(row)
    assert len(rows) == 700
    assert not wrong
    assert refused == LACKING.keys()


@pytest.mark.parametrize(("path", "reason"), LACKING.items())
def test_what_pygjson_lacks_is_refused_by_name(path: str, reason: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        Condition(path)
    assert f"condition {path!r} has {reason}" in str(refusal.value)


@pytest.mark.parametrize(
    "path",
    [
        "@group",
        "parameters.@dig:n",
        "[id,!true]",
        '{"a":parameters.@keys}',
        "list.#(a.#(b==~true))",
        "list.#(!)",
        "list.#[n==7]",
        "list.#(n==7)x",
        "[id",
        "[id]x",
        "{a.@pretty:x}",
        "#x",
    ],
)
def test_what_pygjson_reads_differently_is_refused(path: str) -> None:
    with pytest.raises(ConfigurationError, match="can't evaluate"):
        Condition(path)


# What Go finds was read off gjson's source: parseQuery, execModifier, parseSubSelectors.
@pytest.mark.parametrize(
    ("path", "found"),
    [
        ('[@this].#(id=="")', True),
        ('[@this].#(id!="")', False),
        ('[@this].#(parameters.hem_route=="")', False),
        ("@type", True),
        ('[@this].#(@type=="x")', True),
        ("@nosuch", False),
        ('{"route":parameters.hem_route}.route', True),
        ('@pretty:{"indent":""}.parameters.n', True),
        ("a\\.b", True),
        ("list.#(nested.#(n==7))", False),
        ('[@this].#(parameters.hem_route=="c(l)o]ud")', False),
        ('[@this].#(parameters.hem_route=="cl\\"oud")', False),
        ("..0.parameters", True),
        ("[@this].#(", True),
    ],
)
def test_a_path_means_what_it_means_to_go(path: str, found: bool) -> None:
    assert Condition(path).holds(REQUEST) is found


def test_a_query_left_open_is_noticed() -> None:
    assert Condition("list.#(a").left_open
    assert not Condition("list.#(a)").left_open


def test_a_body_with_bytes_that_are_no_text_can_still_be_tested() -> None:
    body = b'{"text": "\xff\xfe", "parameters": {"hem_route": "cloud"}}'
    assert is_json(body)
    assert Condition('[@this].#(parameters.hem_route=="cloud")').holds(body)


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"]": '])
def test_nesting_that_would_overflow_the_stack_is_no_json(opening: bytes) -> None:
    assert not is_json(opening * 1_000_000)


@pytest.mark.parametrize("path", ["a", "@pretty", "@ugly", "@reverse", "@flatten", "#(a.a==1)"])
def test_the_deepest_json_can_be_tested(path: str) -> None:
    for body in (b"[" * 10_000 + b"]" * 10_000, b'{"a":' * 10_000 + b"1" + b"}" * 10_000):
        assert is_json(body)
        Condition(path).holds(body)


def test_many_brackets_side_by_side_or_in_strings_are_not_deep() -> None:
    assert is_json(json.dumps([[0, 0]] * 20_000).encode())
    assert is_json(json.dumps({"text": "[" * 20_000 + '"\\' * 3}).encode())


_PIECES = [
    "@this",
    "@pretty:",
    "@x",
    "#(",
    "#",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ".",
    "|",
    "a",
    "error",
]
_PIECES += [
    "==",
    "!=",
    "%",
    "<",
    '"x"',
    '""',
    '"',
    "\\",
    "*",
    ",",
    ":",
    "0",
    "-1",
    " ",
    "\u00e9",
    "\0",
]


@given(st.lists(st.sampled_from(_PIECES), max_size=9).map("".join) | st.text(max_size=20))
def test_any_text_is_a_condition_or_refused(path: str) -> None:
    try:
        condition = Condition(path)
    except ConfigurationError:
        return
    for body in (REQUEST, b"null", b'[{"a": 1}, [2], "x"]', b'{"a": "\xff"}', b"{", b""):
        assert condition.holds(body) in (True, False)


@pytest.mark.parametrize("inner", ['{"parameters":%s}', '{"x":%s}', '{"parameters":{"x":%s}}'])
def test_a_name_deeper_inside_is_not_found_for_one_above(inner: str) -> None:
    """pygjson by itself also finds parameters.parameters.hem_route."""
    deeper = json.dumps({"parameters": json.loads(inner % '{"hem_route": "cloud"}')})
    for path in ("parameters.hem_route", '[@this].#(parameters.hem_route=="cloud")'):
        assert Condition(path).holds(REQUEST)
        assert not Condition(path).holds(deeper.encode())


@pytest.mark.parametrize("name", ["parameters", "error", "x"])
def test_the_time_grows_with_the_length_alone(name: str) -> None:
    """By depth times length this took minutes; the bound is of this process's own time."""
    body = (f'{{"{name}":' * 9_000 + '"' + "a" * 4_000_000 + '"' + "}" * 9_000).encode()
    before = time.process_time()
    for path in ('[@this].#(parameters.hem_route=="cloud")', "error", "x.y.z", "parameters.x"):
        Condition(path).holds(body)
    assert time.process_time() - before < 10
