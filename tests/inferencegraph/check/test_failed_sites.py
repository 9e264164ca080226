"""Changes to a site that KServe's webhook lets through, and its controller then fails at."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from inferencegraph.check.validate import validate

Case = Mapping[str, Any]


def _cases(shared: Path) -> list[Case]:
    lines = (shared / "conformance/admission.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def _errors(shared: Path, case: Case) -> list[str]:
    """Of the site with the case's objects, each in the place of the one of its kind and name, or,
    where it was renamed, of the one that nothing else replaces."""
    text = (shared / "conformance/admission_site.yaml").read_text()
    site = list(yaml.load_all(text, Loader=yaml.CSafeLoader))
    names = [(content["kind"], content["metadata"]["name"]) for content in site]
    originals = {"InferenceGraph": "qa", "InferenceService": "qa-edge"}
    for content in case["changed"]:
        kind, name = content["kind"], content["metadata"]["name"]
        key = (kind, name) if (kind, name) in names else (kind, originals[kind])
        site[names.index(key)] = content
    return [str(problem) for problem in validate(site) if problem.severity == "error"]


def test_whatever_the_controller_fails_at_is_an_error(shared: Path) -> None:
    failed = [c for c in _cases(shared) if c["verdict"] == "failed" and c["expect"] == "error"]
    assert len(failed) == 33
    assert [case["case"] for case in failed if not _errors(shared, case)] == []


def test_what_the_cluster_runs_is_no_error(shared: Path) -> None:
    passed = [case for case in _cases(shared) if case["expect"] == "pass"]
    assert len(passed) == 29
    assert {case["case"]: _errors(shared, case) for case in passed if _errors(shared, case)} == {}
