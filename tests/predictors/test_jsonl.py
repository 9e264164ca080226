"""The one reader and writer of JSON Lines: takes what other programs write."""

import gzip
from pathlib import Path

import pytest

from predictors.errors import ConfigurationError
from predictors.jsonl import read_query, read_rows, require_new, write_lines

LINE_SEPARATOR = "\u2028"  # ends a line for str.splitlines, but not in JSON Lines


@pytest.mark.parametrize("packed", [False, True])
def test_bom_windows_line_ends_gzip_and_a_line_separator_are_fine(
    tmp_path: Path, packed: bool
) -> None:
    path = tmp_path / "rows.jsonl"
    content = f'\ufeff{{"query": "a{LINE_SEPARATOR}b"}}\r\n\r\n{{"query": "ü"}}\r\n'.encode()
    path.write_bytes(gzip.compress(content, mtime=0) if packed else content)
    assert list(read_rows(path)) == [
        (1, {"query": f"a{LINE_SEPARATOR}b"}),
        (3, {"query": "ü"}),
    ]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "rows.jsonl has no rows"),
        (b"\n \n", "rows.jsonl has no rows"),
        (b"{}\n{", "rows.jsonl, line 2: not JSON"),
        (b"[1]", "rows.jsonl, line 1: must be a JSON object"),
        (b"\xff", "line 1: not JSON"),
        (gzip.compress(b"{}", mtime=0)[:-4], "is damaged gzip"),
    ],
)
def test_a_file_that_is_not_json_lines_is_refused_with_its_line(
    tmp_path: Path, content: bytes, fault: str
) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=fault):
        list(read_rows(path))


def test_a_query_under_another_name_is_a_hint() -> None:
    with pytest.raises(ConfigurationError, match="this row has 'question': rename it"):
        read_query({"question": "a"}, "f, line 1")
    with pytest.raises(ConfigurationError, match="lone surrogate"):
        read_query({"query": "\ud800"}, "f, line 1")


def test_an_id_comes_once_and_none_may_come_again() -> None:
    seen: dict[object, int] = {}
    for number, name in enumerate(["a", 1, None, None], start=1):
        require_new(name, seen, Path("f"), number)
    with pytest.raises(ConfigurationError, match="f, line 5: id 'a' is line 1's too"):
        require_new("a", seen, Path("f"), 5)
    with pytest.raises(ConfigurationError, match="'id' must be a string or an integer"):
        require_new(1.5, seen, Path("f"), 6)


def test_what_is_written_is_read_again_packed_or_not(tmp_path: Path) -> None:
    for name in ("rows.jsonl", "rows.jsonl.gz"):
        write_lines(tmp_path / name, [b'{"a":1}\n', b'{"a":2}\n'])
        assert [row["a"] for _, row in read_rows(tmp_path / name)] == [1, 2]
    assert {path.name for path in tmp_path.iterdir()} == {"rows.jsonl", "rows.jsonl.gz"}
    with pytest.raises(ConfigurationError, match="can't be written"):
        write_lines(tmp_path / "missing" / "rows.jsonl", [])
