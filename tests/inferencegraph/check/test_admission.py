"""What a real API server with KServe said to single changes of a site, beside what we say."""

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from inferencegraph.check.validate import validate

CASES = Path(__file__).resolve().parents[3].parent / "shared/conformance/admission.jsonl"


def _cases() -> list[Any]:
    if not CASES.is_file():
        return [pytest.param({}, marks=pytest.mark.skip(reason=f"{CASES} is absent"), id="absent")]
    rows = [json.loads(line) for line in CASES.read_text().splitlines()]
    return [pytest.param(row, id=row["case"]) for row in rows]


def _errors(row: Mapping[str, Any], shared: Path) -> list[str]:
    """Of the site with the changed objects in place of those of the same kind and name."""
    text = (shared / "conformance/admission_site.yaml").read_text()
    site = [document for document in yaml.safe_load_all(text) if document]
    changed = copy.deepcopy(row["changed"])
    names = {(each["kind"], each["metadata"].get("name")) for each in changed}
    kept = [each for each in site if (each["kind"], each["metadata"]["name"]) not in names]
    problems = validate([*kept, *changed])
    return [str(problem) for problem in problems if problem.severity == "error"]


@pytest.mark.parametrize("row", _cases())
def test_what_the_real_one_refuses_is_an_error_and_nothing_else(
    row: dict[str, Any], shared: Path
) -> None:
    errors = _errors(row, shared)
    if row["expect"] == "error":
        assert errors, f"nothing found, but: {row['says']}"
    elif row["expect"] == "pass":
        assert errors == []
