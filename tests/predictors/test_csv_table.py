"""CSV tables, as other programs write them."""

import gzip
from pathlib import Path

import pytest

from predictors.csv_table import read_table
from predictors.errors import ConfigurationError


@pytest.mark.parametrize(
    "content",
    [
        "id,query\n1,a\n2,b\n",
        "\ufeffid,query\r\n1,a\r\n\r\n2,b\r\n",
        "id;query\n1;a\n2;b",
        "id\tquery\n1\ta\n2\tb\n",
        '"id","query"\n"1","a"\n"2","b"\n',
    ],
)
def test_a_table_is_read_by_its_columns(tmp_path: Path, content: str) -> None:
    for name, data in (("t.csv", content.encode()), ("t.csv.gz", gzip.compress(content.encode()))):
        (tmp_path / name).write_bytes(data)
        rows = [row for _, row in read_table(tmp_path / name)]
        assert rows == [{"id": "1", "query": "a"}, {"id": "2", "query": "b"}]


def test_a_cell_may_hold_lines_and_commas(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('query,label\n"one,\ntwo ""three""",1\nfour,0\n')
    assert list(read_table(path)) == [
        (3, {"query": 'one,\ntwo "three"', "label": "1"}),
        (4, {"query": "four", "label": "0"}),
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "has no rows"),
        (b"a,b\n", "has no rows"),
        (b"a,b\n1,2\n3\n", "line 3: 1 columns where the first line has 2"),
        (b"a,a\n1,2\n", "line 1: two columns are called 'a'"),
        (b"a,b\n1,\xff\n", "line 2: not UTF-8"),
        (b'a,b\n1,"2\n', "not CSV"),
    ],
)
def test_what_is_wrong_is_named_by_its_line(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(ConfigurationError, match=said):
        list(read_table(tmp_path / "t.csv"))
