"""`hem batch`: files and folders of questions, and what is written of the answers."""

import json
from pathlib import Path

import pytest

from inferencegraph.evaluate.batch import read_inputs
from predictors.errors import ConfigurationError
from tests.inferencegraph.evaluate.test_asking import Scripted, scripted
from tests.inferencegraph.running_hem import hem

__all__ = ["scripted"]


def test_a_folders_files_become_files_of_the_same_names(
    scripted: tuple[str, type[Scripted]], tmp_path: Path
) -> None:
    url, _ = scripted
    folder = tmp_path / "in"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.txt").write_text("short\n")
    (folder / "deep" / "a.txt").write_text("a much longer question\nof two lines\n")
    (folder / ".hidden").write_text("x")
    out = tmp_path / "out"
    result = hem("batch", str(folder), "--url", url, "--out", str(out), "--json")
    assert result.returncode == 0, result.stderr
    facts = json.loads(result.stdout)
    assert (facts["asked"], facts["hard"], facts["failed"]) == (2, 1, 0)
    texts = {str(f.relative_to(out)): f.read_text() for f in out.rglob("*") if f.is_file()}
    assert texts == {
        "all/a.txt": "SHORT\n",
        "all/deep/a.txt": "a much longer question\nof two lines\n",
        "hard-by-cloud/deep/a.txt": "a much longer question\nof two lines\n",
        "hard-by-edge/deep/a.txt": "A MUCH LONGER QUESTION\nOF TWO LINES\n",
    }
    again = hem("batch", str(folder), "--url", url, "--out", str(out))
    assert again.returncode == 2 and "exists, and nothing is overwritten" in again.stderr


def test_each_question_is_asked_once_and_a_hard_one_once_more_at_the_edge(
    scripted: tuple[str, type[Scripted]], tmp_path: Path
) -> None:
    url, handler = scripted
    path = tmp_path / "input.txt"
    path.write_text("a long one\nab\nanother long one\n")
    result = hem("batch", str(path), "--url", url, "--out", str(tmp_path / "out"))
    assert result.returncode == 0, result.stderr
    asked = sorted(
        (body["inputs"][0]["data"][0], body.get("parameters", {}).get("hem_prefer", "as routed"))
        for body in handler.asked
    )
    assert asked == [
        ("a long one", "as routed"),
        ("a long one", "edge"),
        ("ab", "as routed"),
        ("another long one", "as routed"),
        ("another long one", "edge"),
    ]


def test_lines_become_rows_and_sednas_variables_are_read(
    scripted: tuple[str, type[Scripted]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, handler = scripted
    handler.failing = {"bad"}
    path = tmp_path / "input.txt"
    path.write_text("ab\n\na longer one\nbad\n", encoding="utf-8-sig")
    names = {
        "input_text": path,
        "all_examples_inference_output": tmp_path / "every",
        "hard_example_edge_inference_output": tmp_path / "edge",
        "hard_example_cloud_inference_output": tmp_path / "cloud",
    }
    for name, value in names.items():
        monkeypatch.setenv(name, str(value))
    result = hem("batch", "--url", url)
    assert result.returncode == 1, result.stderr  # one failed
    rows = {
        name: list(
            map(json.loads, (tmp_path / name / "input.txt.answers.jsonl").read_text().splitlines())
        )
        for name in ("every", "edge", "cloud")
    }
    assert [row["id"] for row in rows["every"]] == ["input.txt:1", "input.txt:3", "input.txt:4"]
    assert "503" in rows["every"][2]["error"]
    assert [row["text"] for row in rows["edge"]] == ["A LONGER ONE"]
    assert [row["route"] for row in rows["cloud"]] == ["cloud"]
    said = f"3 answers in {tmp_path / 'every'}, 1 failed\n1 hard one: "
    assert result.stdout.startswith(said), result.stdout


def test_rows_of_json_are_questions(tmp_path: Path) -> None:
    (tmp_path / "q.jsonl").write_text('{"query": "a"}\n{"query": "b"}\n')
    assert [each.item.question.query for each in read_inputs(tmp_path / "q.jsonl")] == ["a", "b"]
    assert [each.item.question.query for each in read_inputs(tmp_path)] == ["a", "b"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("empty.txt", b"\n \n", "no questions"),
        ("latin.txt", b"caf\xe9", "not UTF-8"),
        ("rows.jsonl", b'{"text": "a"}', "line 1: 'query' must be"),
    ],
)
def test_what_cannot_be_asked_is_named(
    tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigurationError, match=said):
        read_inputs(tmp_path / name)


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    result = hem("batch", str(tmp_path / "none"), "--out", str(tmp_path / "out"))
    assert result.returncode == 2 and result.stderr.count("\n") == 1
