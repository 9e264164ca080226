"""What a real API server with KServe said to single changes of a site, beside what we say."""

import copy
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from inferencegraph.check.definitions.checking import Definitions
from inferencegraph.check.definitions.reading import read_definitions
from inferencegraph.check.problem import Problem
from inferencegraph.check.validate import validate

CASES = Path(__file__).resolve().parents[3].parent / "shared/conformance/admission.jsonl"


def _cases() -> list[Any]:
    if not CASES.is_file():
        return [pytest.param({}, marks=pytest.mark.skip(reason=f"{CASES} is absent"), id="absent")]
    rows = [json.loads(line) for line in CASES.read_text().splitlines()]
    return [pytest.param(row, id=row["case"]) for row in rows]


def _errors(
    row: Mapping[str, Any], shared: Path, definitions: Definitions | None = None
) -> list[Problem]:
    """Of the site with the changed objects in place of those of the same kind and name."""
    text = (shared / "conformance/admission_site.yaml").read_text()
    site = [document for document in yaml.safe_load_all(text) if document]
    changed = copy.deepcopy(row["changed"])
    names = {(each["kind"], each["metadata"].get("name")) for each in changed}
    kept = [each for each in site if (each["kind"], each["metadata"]["name"]) not in names]
    problems = validate([*kept, *changed], definitions=definitions)
    return [problem for problem in problems if problem.severity == "error"]


@pytest.mark.parametrize("row", _cases())
def test_what_the_real_one_refuses_is_an_error_and_nothing_else(
    row: dict[str, Any], shared: Path
) -> None:
    errors = _errors(row, shared)
    if row["expect"] == "error":
        assert errors, f"nothing found, but: {row['says']}"
    elif row["expect"] == "pass":
        assert errors == []


@pytest.fixture(scope="module")
def definitions(shared: Path) -> Definitions:
    """KServe's own CRDs."""
    return Definitions(read_definitions(shared / "crds"))


# What the API server itself says of an object that its CRD's schema does not take.
_OF_THE_SCHEMA = re.compile(r" is invalid: (\* )?spec\b|strict decoding error: unknown field")


@pytest.mark.parametrize("row", _cases())
def test_by_kserves_own_crds_the_same_is_found_and_nothing_else(
    row: dict[str, Any], shared: Path, definitions: Definitions
) -> None:
    errors = _errors(row, shared, definitions)
    if row["expect"] == "error":
        places = {(each.object, each.field) for each in errors}
        assert {(each.object, each.field) for each in _errors(row, shared)} <= places
    elif row["expect"] == "pass":
        assert errors == []
    if row["verdict"] == "denied" and _OF_THE_SCHEMA.search(row["says"]):
        found = [finding for each in row["changed"] for finding in definitions.check(each)]
        assert "error" in {finding.severity for finding in found}
