"""What was changed, removed or put elsewhere is found, and named."""

import contextlib
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final, get_args

import pytest
from hypothesis import given, strategies as st

from predictors.errors import ConfigurationError
from predictors.upstream.ledger.lines import Head, Kind, digest_of, parse_head, written
from predictors.upstream.ledger.report import By, report
from predictors.upstream.ledger.segments import files, sealed
from predictors.upstream.ledger.verify import Broken, verify
from predictors.upstream.ledger.writer import Ledger

Tamper = Callable[[list[bytes]], list[bytes]]


def ledger_of(folder: Path, count: int = 60, segment_bytes: int = 4096) -> tuple[Path, Head]:
    path = folder / "egress.jsonl"
    ledger = Ledger(path, segment_bytes)
    for number in range(count):
        ledger.report({"of": ledger.intend({"to": "https://api.example", "bytes": number})})
    ledger.close()
    return path, ledger.head


def change(line: bytes) -> bytes:
    return line.replace(b'"bytes":', b'"bytes":1')


TAMPERS: Final[dict[str, tuple[Tamper, str]]] = {
    "a changed line": (lambda all_: [*all_[:3], change(all_[3]), *all_[4:]], "line 4: was changed"),
    "a blank added": (lambda all_: [*all_[:3], b" " + all_[3], *all_[4:]], "line 4: was changed"),
    "a line removed": (lambda all_: [*all_[:5], *all_[6:]], "line 6: has number 6 where 5 is due"),
    "the first removed": (lambda all_: all_[1:], "line 1: has number 1 where 0 is due"),
    "two exchanged": (
        lambda all_: [*all_[:2], all_[3], all_[2], *all_[4:]],
        "line 3: has number 3 where 2 is due",
    ),
    "one twice": (lambda all_: [*all_[:3], all_[2], *all_[3:]], "line 4: has number 2"),
    "an empty line": (lambda all_: [*all_[:3], b"\n", *all_[3:]], "line 4: not a line"),
    "a line of another": (
        lambda all_: [*all_[:3], written(Head(2, "0" * 64), Kind.INTENT, {}), *all_[4:]],
        "line 3: was changed, or the line behind it",
    ),
    "a sealed segment cut": (lambda all_: [*all_[:-1], all_[-1][:-9]], "is cut off"),
    "a sealed segment's lines": (lambda all_: all_[:-3], "line 1: has number"),
}


@pytest.mark.parametrize("name", TAMPERS)
def test_what_was_done_to_a_segment_is_found(name: str, tmp_path: Path) -> None:
    path, _ = ledger_of(tmp_path)
    tamper, says = TAMPERS[name]
    first = files(path)[0]
    first.write_bytes(b"".join(tamper(first.read_bytes().splitlines(keepends=True))))
    with pytest.raises(Broken, match=says):
        verify(path)


def test_a_missing_segment_is_found(tmp_path: Path) -> None:
    path, _ = ledger_of(tmp_path)
    sealed(path)[2].unlink()
    with pytest.raises(Broken, match=r"000003, line 1: has number"):
        verify(path)


def test_a_cut_tail_is_found_by_the_head_alone(tmp_path: Path) -> None:
    path, head = ledger_of(tmp_path, 5)
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-2]))
    assert verify(path).head.number == head.number - 2
    with pytest.raises(Broken, match=f"end is cut off: the last line has number {head.number - 2}"):
        verify(path, head)


def test_a_tail_written_anew_is_found_by_the_head_alone(tmp_path: Path) -> None:
    path, head = ledger_of(tmp_path, 5)
    kept = path.read_bytes().splitlines(keepends=True)[:-1]
    path.write_bytes(b"".join(kept))
    Ledger(path, 4096).close()
    verify(path)
    with pytest.raises(Broken, match="the head that was exported is"):
        verify(path, head)


def test_a_head_holds_for_a_ledger_that_has_grown(tmp_path: Path) -> None:
    path, head = ledger_of(tmp_path)
    ledger_of(tmp_path)
    assert verify(path, head).head.number > head.number
    assert verify(path, parse_head(f"{head.number}:{head.digest[:12]}", "--head"))


def test_the_rest_holds_behind_segments_that_were_moved_away(tmp_path: Path) -> None:
    path, _ = ledger_of(tmp_path)
    first, second = files(path)[:2]
    last = json.loads(second.read_bytes().splitlines()[0])
    after = Head(last["n"] - 1, last["prev"])
    first.unlink()
    with pytest.raises(Broken, match="--after"):
        verify(path)
    verify(path, after=after)
    with pytest.raises(Broken, match="does not follow from"):
        verify(path, after=Head(after.number, "f" * 64))


def test_no_ledger_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no ledger was written"):
        verify(tmp_path / "absent")
    with pytest.raises(ConfigurationError, match="can't be read"):
        verify(tmp_path)


@given(
    damage=st.lists(
        st.tuples(st.integers(0, 20_000), st.integers(0, 200), st.binary(max_size=200)),
        min_size=1,
        max_size=4,
    )
)
def test_no_damage_makes_more_than_one_line_of_it(
    damage: list[tuple[int, int, bytes]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("damaged") / "egress.jsonl"
    content = bytearray(WHOLE)
    for at, count, data in damage:
        content[at : at + count] = data
    path.write_bytes(content)
    try:
        found = verify(path, HEAD)
    except Broken as broken:
        assert len(str(broken).splitlines()) == 1
    else:
        assert bytes(content[: len(WHOLE)]) == WHOLE
        assert found.head == HEAD or len(content) > len(WHOLE)
    with contextlib.suppress(Broken):
        report(path, "day")


@given(
    value=st.recursive(
        st.none() | st.booleans() | st.integers(-5, 5) | st.floats() | st.text(max_size=9),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=9), inner),
        max_leaves=5,
    ),
    name=st.sampled_from(
        ["of", "at", "to", "decision", "bytes", "again", "model", "prompt_tokens"]
    ),
)
def test_a_chain_of_strange_values_is_summed_up(
    value: object, name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("strange") / "egress.jsonl"
    lines, before = [], "0" * 64
    for number, kind in enumerate(("intent", "outcome")):
        row = {"n": number, "prev": before, "at": "", "kind": kind, "of": 0, "to": "http://x"}
        row[name] = str(value) if name == "at" else value
        lines.append(json.dumps(row).encode() + b"\n")
        before = digest_of(lines[-1])
    path.write_bytes(b"".join(lines))
    for by in get_args(By):
        with contextlib.suppress(Broken):  # NaN is not JSON
            report(path, by)


def _whole() -> tuple[bytes, Head]:
    with tempfile.TemporaryDirectory() as folder:
        path, head = ledger_of(Path(folder), 30, 2**20)
        return path.read_bytes(), head


WHOLE, HEAD = _whole()
