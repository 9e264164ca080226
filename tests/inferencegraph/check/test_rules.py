"""Each finding has a rule, a line, and the file that it is in; SARIF carries all three."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from inferencegraph.check.rules import RULES
from inferencegraph.check.sarif import to_sarif
from inferencegraph.check.validate import CHECKS, rule_name, validate
from inferencegraph.cli import app
from inferencegraph.read.documents import read
from inferencegraph.read.kustomize import load_documents
from inferencegraph.read.lines import line_of

BAD = Path(__file__).resolve().parents[2] / "data/manifests/bad"


def test_every_check_has_its_line_in_the_table_of_rules() -> None:
    names = {rule_name(check) for checks in CHECKS.values() for check in checks}
    others = {"kind", "metadata", "schema", "spec", "sedna", "server", "server-pods"}
    assert names | others == set(RULES)


@pytest.mark.parametrize("path", sorted(BAD.glob("*.yaml")), ids=lambda path: path.stem)
def test_each_finding_has_a_rule_and_a_line_of_its_file(path: Path) -> None:
    documents = read(path)
    lines = path.read_text().splitlines()
    for problem in validate([document.content for document in documents], documents):
        assert problem.rule in RULES
        assert problem.line is not None and 0 < problem.line <= len(lines)
        assert lines[problem.line - 1].strip()[:1] not in ("", "#")


TEXT = """# first
apiVersion: v1
kind: ConfigMap
metadata:
  name: a
  annotations:
    serving.kserve.io/mode: x
    other: y
---
---
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: ConfigMap
  metadata: {name: b}
- apiVersion: v1
  kind: ConfigMap
  metadata:
    name: c
  data:
    - one
    - two: 2
"""


@pytest.mark.parametrize(
    ("place", "field", "line"),
    [
        (0, "metadata.name", 5),
        (0, "metadata.annotations.serving.kserve.io/mode", 7),
        (0, "metadata.annotations.absent", 6),
        (0, "spec.nothing", 2),
        (1, "metadata.name", 16),
        (2, "metadata.name", 20),
        (2, "data[1].two", 23),
        (2, "data[7]", 21),
        (2, "kind", 18),
    ],
)
def test_a_field_is_found_on_its_line_or_on_that_of_what_is_above_it(
    place: int, field: str, line: int, tmp_path: Path
) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(TEXT)
    assert line_of(read(file)[place], field) == line


def test_the_line_is_that_of_the_file_which_a_kustomization_names(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n")
    (tmp_path / "kustomization.yaml").write_text("resources: [a.yaml]\n")
    (document,) = load_documents(tmp_path)
    if document.path.name == "a.yaml":  # built without kubectl, which tells no files
        assert line_of(document, "metadata.name") == 4
    else:
        assert line_of(document, "metadata.name") is None


def test_sarif_names_file_line_and_rule(tmp_path: Path) -> None:
    path = BAD / "node_unused.yaml"
    out = tmp_path / "found.sarif"
    result = CliRunner().invoke(app, ["validate", "-f", str(path), "--sarif", str(out)])
    written = json.loads(out.read_text())
    assert written["version"] == "2.1.0"
    (run,) = written["runs"]
    assert run["tool"]["driver"]["name"] == "hem validate"
    assert {rule["id"] for rule in run["tool"]["driver"]["rules"]} == {
        each["ruleId"] for each in run["results"]
    }
    (first, *_) = run["results"]
    place = first["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == path.as_posix()
    assert f"{path}:{place['region']['startLine']}: " in result.output
    assert first["level"] in ("error", "warning", "note")


def test_nothing_found_is_a_run_without_results() -> None:
    assert to_sarif([])["runs"][0]["results"] == []
