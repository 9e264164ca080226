"""Problems as SARIF 2.1.0, the format that code review tools read."""

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any, Final

from inferencegraph.check.problem import Problem
from inferencegraph.check.rules import RULES

SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"


def to_sarif(problems: Sequence[Problem]) -> dict[str, Any]:
    rules = sorted({problem.rule for problem in problems})
    driver = {
        "name": "hem validate",
        "version": version("kserve-hem"),
        "rules": [
            {"id": rule, "shortDescription": {"text": RULES.get(rule, rule)}} for rule in rules
        ],
    }
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "results": [_result(each) for each in problems]}],
    }


def _result(problem: Problem) -> dict[str, Any]:
    made: dict[str, Any] = {
        "ruleId": problem.rule,
        "level": problem.severity,
        "message": {"text": f"{problem.object}: {problem.field}: {problem.message}"},
    }
    if problem.file is not None:
        place: dict[str, Any] = {"artifactLocation": {"uri": problem.file.as_posix()}}
        if problem.line is not None:
            place["region"] = {"startLine": problem.line}
        made["locations"] = [{"physicalLocation": place}]
    return made
