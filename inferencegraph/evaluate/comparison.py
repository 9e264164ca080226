"""The same questions three times through one graph: as it routes, all edge, all cloud."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from inferencegraph.evaluate.asking import ask_all
from inferencegraph.evaluate.metrics import METRICS
from inferencegraph.evaluate.outcome import Item, Run
from predictors.contract import CLOUD, EDGE

ROUTED, EDGE_ONLY, CLOUD_ONLY = "routed", "EdgeOnly", "CloudOnly"
_PREFER = {EDGE_ONLY: EDGE, ROUTED: None, CLOUD_ONLY: CLOUD}


@dataclass(frozen=True, slots=True)
class Comparison:
    """`runs`: EdgeOnly, routed and CloudOnly, outcomes in the order of the questions."""

    url: str
    concurrency: int
    runs: dict[str, Run]

    def numbers(self, name: str) -> dict[str, float | None]:
        """Metric -> value of the run called `name`."""
        run, cloud = self.runs[name], self.runs[CLOUD_ONLY]
        return {metric.name: metric.compute(run, cloud) for metric in METRICS}

    def served_by(self, name: str) -> dict[str, int]:
        """Model -> answers it gave. Shows an edge that stood in for an absent cloud."""
        counts = Counter(o.served_by or "?" for o in self.runs[name] if o.error is None)
        return dict(counts.most_common())

    def errors(self) -> dict[str, int]:
        """What failed, and how often, over all runs."""
        found = Counter(o.error for run in self.runs.values() for o in run if o.error)
        return dict(found.most_common())

    def facts(self) -> dict[str, Any]:
        """Everything, for a program."""
        runs = {n: {**self.numbers(n), "served_by": self.served_by(n)} for n in self.runs}
        questions = len(self.runs[ROUTED])
        about = {"url": self.url, "questions": questions, "concurrency": self.concurrency}
        return {**about, "runs": runs, "errors": self.errors()}


async def compare(
    url: str,
    items: Sequence[Item],
    concurrency: int,
    on_answer: Callable[[str], None],
) -> Comparison:
    """`on_answer` hears the run's name after each answer."""
    runs: dict[str, Run] = {}
    for name, prefer in _PREFER.items():
        runs[name] = await ask_all(url, items, prefer, concurrency, partial(on_answer, name))
    return Comparison(url, concurrency, runs)
