"""The page of HTML."""

from inferencegraph.evaluate.estimating.result import Estimate


def page(found: Estimate, log: str) -> str:
    return found.text()
