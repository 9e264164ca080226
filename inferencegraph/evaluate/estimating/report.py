"""What an estimate leaves in its folder for programs and for people."""

import orjson

from inferencegraph.evaluate.estimating.job import Job
from inferencegraph.evaluate.estimating.page import page
from inferencegraph.evaluate.estimating.result import Estimate
from predictors.jsonl import write_lines


def write_report(found: Estimate, job: Job) -> None:
    """Raises ConfigurationError where it can't be written."""
    facts = {
        **found.facts(),
        "data": str(job.log.path),
        "data_sha256": job.log.sha256,
        "left_out": [{"where": each.where, "reason": each.reason} for each in job.log.left_out],
    }
    write_lines(
        job.out / "estimate.json", [orjson.dumps(facts, option=orjson.OPT_INDENT_2) + b"\n"]
    )
    write_lines(
        job.out / "estimate.html", [page(found, job.log.path.name, job.log.left_out).encode()]
    )
