"""What docs/extending.md prints works: its files and lines, put into a copy of the packages."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import ROOT

PACKAGES = ("predictors", "transformers_hem", "inferencegraph")
# Data that the copies share with the project: models, routers.
LINKED = {".safetensors", ".onnx", ".gz", ".npz"}
SECTION = re.compile(r"^## (.+)$", re.MULTILINE)
FENCE = re.compile(r"```(\w*)\n(.*?)```", re.DOTALL)


@dataclass(frozen=True)
class Part:
    """A code block and the text between it and the block before."""

    before: str
    language: str
    code: str


def parts_of(section: str) -> Iterator[Part]:
    end = 0
    for block in FENCE.finditer(section):
        yield Part(section[end : block.start()], block[1], block[2])
        end = block.end()


@pytest.fixture(scope="module")
def sections() -> dict[str, list[Part]]:
    page = (ROOT / "docs/extending.md").read_text()
    titles = [(match[1], match.end()) for match in SECTION.finditer(page)]
    ends = [*(page.rfind("\n## ", 0, start) for _, start in titles[1:]), len(page)]
    return {
        title: list(parts_of(page[start:end]))
        for (title, start), end in zip(titles, ends, strict=True)
    }


@pytest.fixture(scope="module")
def project(sections: dict[str, list[Part]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the packages with everything in it that the page adds."""
    copy = tmp_path_factory.mktemp("extended")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, copy / package, copy_function=_link_or_copy)
    for parts in sections.values():
        for part in parts:
            _add(copy, part)
    return copy


def _link_or_copy(source: str, target: str) -> None:
    if Path(source).suffix in LINKED:
        os.symlink(source, target)
    else:
        shutil.copy(source, target)


def _add(copy: Path, part: Part) -> None:
    """Writes a file that the page names with a folder, or puts a line into a table."""
    if "above the table" in part.before:
        _add_function(copy, part)
    elif part.language == "python":
        named = re.findall(r"`([\w/]+/\w+\.py)`", part.before)
        paths = named[-1:] or [_path_inside(part)]
        target = copy / paths[0]
        target.parent.mkdir(exist_ok=True)
        target.write_text(part.code)
    elif "in the table" in part.before:
        _add_line(copy, part)


def _add_function(copy: Path, part: Part) -> None:
    path = copy / re.findall(r"`([\w/]+/\w+\.py)`", part.before)[-1]
    before, table, after = path.read_text().rpartition("\nMETRICS")
    path.write_text(f"{before}\n{part.code}\n{table}{after}")


def _path_inside(part: Part) -> str:
    folders = {
        "phone_book.py": "predictors/engines",
        "my_router.py": "transformers_hem/algorithms",
    }
    name = re.findall(r"Save this as `(\w+\.py)`", part.before)[-1]
    return f"{folders[name]}/{name}"


def _add_line(copy: Path, part: Part) -> None:
    """The row of a table, and an import before it where the block has one."""
    path = copy / re.findall(r"`([\w/]+/\w+\.py)`", part.before)[-1]
    table = re.findall(r"in the table\s+`(\w+)`", part.before)[-1]
    imported, _, row = part.code.rpartition("\n\n")
    if imported:
        before, docstring_end, after = path.read_text().partition('"""\n\n')
        path.write_text(f"{before}{docstring_end}{imported}\n{after}")
    entry = re.search(r"entry of each kind that it is\s+for, here `(\w+)`", part.before)
    _insert(path, table, row, entry[1] if entry else None)


def _insert(path: Path, table: str, line: str, entry: str | None) -> None:
    """Right behind the opening bracket of the table, or of an entry of it that is a tuple."""
    text = path.read_text()
    inside = rf'(?s:.*?)"{entry}": \(' if entry else ""
    start = re.search(rf"^{table}\b[^=]* = (?:\(\n|[^{{]*{{){inside}", text, re.MULTILINE)
    assert start is not None, f"{path} has no table {table}"
    path.write_text(f"{text[: start.end()]}\n{line}{text[start.end() :]}")


def run(project: Path, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(project), "COLUMNS": "200"},
    )
    assert not check or done.returncode == 0, done.stderr
    return done


def python(project: Path, code: str) -> str:
    return run(project, "-c", code).stdout.strip()


def hem(project: Path, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return run(project, "-m", "inferencegraph", *arguments, check=check)


def rows(path: Path, content: Sequence[dict[str, object]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in content))
    return str(path)


def test_the_engine_answers_by_its_name(project: Path) -> None:
    (project / "book.csv").write_text("Ada,1815\n")
    code = """
import asyncio
from predictors.contract import Query
from predictors.engines import ENGINES
engine = ENGINES.load("phone_book")
phone = engine(engine.Settings(book="book.csv"))
async def main():
    await phone.start()
    return await phone.generate([Query("Ada"), Query("Eve")])
print(*(answer.text for answer in asyncio.run(main())))
"""
    assert python(project, code) == "1815 unknown"
    assert "phone_book" in run(project, "-m", "predictors", "--help").stdout


def test_the_algorithm_scores_by_its_name(project: Path) -> None:
    code = """
from transformers_hem.algorithms import ALGORITHMS
from transformers_hem.algorithms.base import Batch
kind = ALGORITHMS.load("LengthRouter")
print(kind(kind.Parameters(longest=10)).score(Batch(2, texts=("a" * 5, "a" * 50))))
"""
    assert python(project, code) == "[0.5 1. ]"


def test_the_trained_router_is_trained_calibrated_and_scores(project: Path, tmp_path: Path) -> None:
    labelled = [
        {"query": " ".join(["word"] * (1 + n % 40)), "edge_correct": n % 40 < 20 or n % 7 == 0}
        for n in range(400)
    ]
    data = rows(tmp_path / "labels.jsonl", [row | {"cloud_correct": True} for row in labelled])
    out, scores = str(tmp_path / "router"), tmp_path / "scores.jsonl"
    assert "WordsRouter" in hem(project, "train", "--help").stdout
    hem(project, "train", "--data", data, "--algorithm", "WordsRouter", "--out", out)
    queries = rows(
        tmp_path / "queries.jsonl",
        [{"id": "short", "query": "one"}, {"id": "long", "query": "word " * 35}],
    )
    hem(project, "score", "--router", out, "--data", queries, "--out", str(scores))
    short, long = (json.loads(line)["score"] for line in scores.read_text().splitlines())
    assert short < 0.2 < 0.6 < long
    held_out = rows(tmp_path / "held.jsonl", [{"query": row["query"]} for row in labelled])
    promised = hem(project, "calibrate", "--router", out, "--data", held_out, "--edge-ratio", "0.5")
    assert "of the queries at the edge" in promised.stdout


def test_the_scorer_labels(project: Path, tmp_path: Path) -> None:
    answered = {"query": "q", "reference": "yes sir", "edge_answer": "yes", "cloud_answer": "no"}
    data, out = rows(tmp_path / "rows.jsonl", [answered]), tmp_path / "labels.jsonl"
    assert "first_word" in hem(project, "label", "--help").stdout
    hem(project, "label", "--data", data, "--scorer", "first_word", "--out", str(out))
    label = json.loads(out.read_text())
    assert (label["edge_correct"], label["cloud_correct"]) == (True, False)


def test_the_guard_is_read_from_the_settings(project: Path) -> None:
    block = json.dumps([{"name": "Night", "parameters": {"first": 0, "last": 23}}])
    code = f"""
from transformers_hem.algorithms.base import Batch
from transformers_hem.serving.settings import HEMSettings, build_decider
decider = build_decider(HEMSettings(algorithm="CloudOnly", guards={block!r}))
decision = decider.decide(Batch(1, texts=("q",)))
print(decision.route, decision.reason)
"""
    assert python(project, code) == "edge Night"


def test_the_check_reports(project: Path) -> None:
    graph = str(ROOT / "manifests/answer-generation/mining-then-inference")
    said = hem(project, "validate", "-f", graph).stdout
    assert "InferenceGraph/qa: metadata.labels.owner: is missing" in said


def test_the_metric_is_computed(project: Path) -> None:
    code = """
from inferencegraph.evaluate.metrics import METRICS
from inferencegraph.evaluate.metrics.columns import columns_of
from inferencegraph.evaluate.outcome import Outcome
run = columns_of([Outcome("edge", "2", 1.0, seconds=seconds) for seconds in (0.1, 0.3)])
metric = next(metric for metric in METRICS if metric.title == "slow")
print(metric.show(metric.kind.of(run, run)))
"""
    assert python(project, code) == "50.0%"
