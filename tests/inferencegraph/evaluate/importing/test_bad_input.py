"""What can't be a row is left out and named; a file that can't be read is refused."""

import codecs
import gzip
import json
from pathlib import Path

import pytest

from inferencegraph.evaluate.importing.run import Job, import_rows
from predictors.errors import ConfigurationError
from tests.inferencegraph.evaluate.importing import imported

GOOD = b'{"messages": [{"role": "user", "content": "When are beans sown?"}]}\n'


def asked(query: str, **fields: object) -> bytes:
    chat = {"messages": [{"role": "user", "content": query}], **fields}
    return json.dumps(chat, ensure_ascii=False).encode() + b"\n"


def written(folder: Path, content: bytes, name: str = "log.jsonl") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        (b"{", "not JSON: unexpected end of data"),
        (b"[1, 2]", "not a JSON object"),
        (b'"text"', "not a JSON object"),
        (b'{"messages": "Gr\xfc\xdfe"}', "not UTF-8: byte 0xfc at byte 17 of the line"),
        (b'{"messages": "a\0"}', "not JSON: a NUL at byte 16 of the line"),
        (b'{"messages": [{"content": "a"}]}', "a message without a role"),
        (b'{"messages": [{"role": "user", "content": 7}]}', "a message whose content is no text"),
        (b'{"messages": [{"role": "user", "content": null}]}', "an empty query"),
        (b'{"messages": [{"role": "assistant", "content": "a"}]}', "no message of a user"),
        (
            b'{"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}',
            "images or other parts in messages: a part of type 'input_audio'",
        ),
        (asked("long " * 250_000).strip(), "a query that is too long: it has more than 1000000"),
        (b"{}", "no messages"),
    ],
)
def test_a_bad_line_is_left_out_and_named(tmp_path: Path, line: bytes, fault: str) -> None:
    path = written(tmp_path, GOOD + b"\n" + line + b"\n" + asked("And leeks?"))
    rows, report = imported(tmp_path, "openai-chat", path)
    assert [row["id"] for row in rows] == ["log-1", "log-4"]
    (told,) = report.lines()
    kind, _, detail = fault.partition(": ")
    place = f"{path}, line 3" + (f": {detail}" if detail else "")
    assert told.startswith(f"1 left out, {kind}: {place}")
    with pytest.raises(ConfigurationError, match=r"log\.jsonl, line 3: "):
        imported(tmp_path, "openai-chat", path, strict=True)


def test_a_mark_windows_line_ends_gzip_and_line_separators_are_fine(tmp_path: Path) -> None:
    content = codecs.BOM_UTF8 + GOOD.replace(b"\n", b"\r\n") + asked("one\u2028line \0 here")
    path = written(tmp_path, gzip.compress(content), "log.jsonl.gz")
    rows, report = imported(tmp_path, "openai-chat", path)
    assert [row["id"] for row in rows] == ["log-1", "log-2"]
    assert rows[1]["query"] == "one\u2028line \0 here" and not report.left_out


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (GOOD.decode().encode("utf-16"), "is UTF-16 text; `iconv"),
        (GOOD.decode().encode("utf-16-be"), "is UTF-16 text; `iconv"),
        (b"\x28\xb5\x2f\xfd....", "is compressed by zstd"),
        (b"PK\x03\x04....", "is a zip archive"),
        (gzip.compress(GOOD * 100)[:-9], "is damaged gzip"),
        (b"[" + GOOD + b"," + GOOD, "row 3: not JSON, and what comes behind can't be read"),
        (b"[" + GOOD + b'"Gr\xfc\xdfe"]', "not UTF-8: byte 0xfc"),
        (b"", "no records"),
        (b"\n \n", "no records"),
        (b"[]", "no records"),
        (b"{}\n{}", r"none of 2 records can become a row of openai-chat: 2 left out, no messages"),
    ],
)
def test_a_file_that_gives_no_whole_import_is_refused_and_nothing_written(
    tmp_path: Path, content: bytes, fault: str
) -> None:
    path = written(tmp_path, content)
    with pytest.raises(ConfigurationError, match=rf"log\.jsonl.*{fault}"):
        imported(tmp_path, "openai-chat", path)
    assert sorted(tmp_path.iterdir()) == [path]


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"gone\.jsonl can't be read: No such file"):
        imported(tmp_path, "openai-chat", tmp_path / "gone.jsonl")
    with pytest.raises(ConfigurationError, match=r"has no file that ends in \.jsonl or "):
        imported(tmp_path, "openai-chat", tmp_path)


def test_an_array_and_a_list_of_the_api_are_read_like_lines(tmp_path: Path) -> None:
    chats = [json.loads(GOOD), json.loads(asked("And leeks? " + "x" * 600_000)), 7]
    array = written(tmp_path, json.dumps(chats, indent=1).encode(), "array.json")
    rows, report = imported(tmp_path, "openai-chat", array)
    assert [row["id"] for row in rows] == ["array-1", "array-2"]
    assert report.first("not a JSON object") == [f"{array}, row 3"]
    listed = {"object": "list", "data": chats[:2], "has_more": False}
    for indent in (None, 2):
        page = written(tmp_path, json.dumps(listed, indent=indent).encode(), "page.json")
        rows, _ = imported(tmp_path, "openai-chat", page)
        assert len(rows) == 2


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"sample_id,prompt\n1,a\n", r"line 1: no column 'eval_name'; it has sample_id, prompt"),
        (b"", "has no rows"),
        (
            "sample_id,prompt,eval_name\n".encode("utf-16"),
            "is UTF-16 text",
        ),
    ],
)
def test_a_table_of_another_form_is_refused(tmp_path: Path, content: bytes, fault: str) -> None:
    path = written(tmp_path, content, "table.csv")
    with pytest.raises(ConfigurationError, match=rf"table\.csv.*{fault}"):
        imported(tmp_path, "routerbench", path)


def test_records_of_a_table_are_named_by_the_line_they_begin_on(tmp_path: Path) -> None:
    head = b"sample_id,prompt,eval_name,m,m|total_cost\n"
    good = b'1,"a\nb",garden,0,0\n'
    bad = b'2,"Gr\xfc\xdfe",garden,0,0\n3,too few\n4,"never ends,garden,0,0\n'
    path = written(tmp_path, head + good + bad, "table.csv")
    rows, report = imported(tmp_path, "routerbench", path)
    assert rows[0]["query"] == "a\nb" and len(rows) == 1
    assert report.first("not UTF-8") == [f"{path}, line 4: byte 0xfc behind '2Gr'"]
    assert report.first("another number of cells than the header") == [
        f"{path}, line 5: 2 cells, the header has 5",
        f"{path}, line 6: 2 cells, the header has 5",
    ]


def test_duplicates_are_kept_with_ids_of_their_own_or_left_out(tmp_path: Path) -> None:
    path = written(
        tmp_path, asked("a", id="x") + asked("b", id="x") + asked("a") + asked("c", id=1)
    )
    rows, report = imported(tmp_path, "openai-chat", path)
    assert [row["id"] for row in rows] == ["x", "x (log-2)", "log-3", 1]
    assert report.noted == {"with an id that came before, so it got another": 1}
    rows, report = imported(tmp_path, "openai-chat", path, dedupe=True)
    assert [row["query"] for row in rows] == ["a", "b", "c"]
    assert report.first("a query that came before") == [f"{path}, line 3"]


def test_the_same_file_twice_has_no_id_twice(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD * 2)
    rows, _ = imported(tmp_path, "openai-chat", path, path)
    assert len({row["id"] for row in rows}) == 4


def test_a_lone_surrogate_is_no_text(tmp_path: Path) -> None:
    array = written(
        tmp_path, b'[{"messages": [{"role": "user", "content": "\\ud800"}]},' + GOOD + b"]"
    )
    rows, report = imported(tmp_path, "openai-chat", array)
    assert [row["id"] for row in rows] == ["log-2"]
    assert report.left_out == {"can't be written as JSON": 1}


@pytest.mark.parametrize(
    ("format", "options", "fault"),
    [
        ("openai-chats", [], "unknown format 'openai-chats'.*did you mean 'openai-chat'"),
        ("mmlu", ["shots=6"], "mmlu: option shots can't be '6'"),
        ("mmlu", ["shot=5"], "mmlu has no option 'shot'.*did you mean 'shots'"),
        ("mmlu", ["shots"], "--option 'shots' must be name=value"),
        ("openai-chat", ["shots=5"], "openai-chat has no option 'shots'"),
    ],
)
def test_a_wrong_option_is_named(
    tmp_path: Path, format: str, options: list[str], fault: str
) -> None:
    with pytest.raises(ConfigurationError, match=fault):
        imported(tmp_path, format, written(tmp_path, GOOD), options=options)


def test_examples_that_are_missing_are_named(tmp_path: Path) -> None:
    (tmp_path / "test").mkdir()
    written(tmp_path / "test", b"q,a,b,c,d,A\n", "lore_test.csv")
    with pytest.raises(ConfigurationError, match=r"shots=1 needs the examples .*dev/lore_dev\.csv"):
        imported(tmp_path, "mmlu", tmp_path, options=["shots=1"])
    (tmp_path / "dev").mkdir()
    written(tmp_path / "dev", b"q,a,b,c,d,A\n", "lore_dev.csv")
    with pytest.raises(ConfigurationError, match=r"lore_dev\.csv has 1 examples, not 2"):
        imported(tmp_path, "mmlu", tmp_path, options=["shots=2"])


def test_nothing_is_overwritten_without_force(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD)
    out = written(tmp_path, b"mine", "mine.jsonl")
    with pytest.raises(ConfigurationError, match=r"mine\.jsonl exists; choose another --out"):
        import_rows(Job("openai-chat", [path], out))
    assert out.read_bytes() == b"mine"
    with pytest.raises(ConfigurationError, match="is one of the files to import"):
        import_rows(Job("openai-chat", [path], path, force=True))
    assert path.read_bytes() == GOOD
    with pytest.raises(ConfigurationError, match="can't be written: No such file"):
        import_rows(Job("openai-chat", [path], tmp_path / "no" / "out.jsonl"))
