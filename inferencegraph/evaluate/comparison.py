"""The same questions three times through one graph: as it routes, all edge, all cloud.

The result is a table for people, or facts for a program.
"""

from collections import Counter
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from functools import partial
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from inferencegraph.evaluate.asking import ask_all
from inferencegraph.evaluate.metrics import METRICS
from inferencegraph.evaluate.outcome import Item, Outcome, Run
from predictors.contract import CLOUD, EDGE
from predictors.upstream.redaction import shown_url

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
        """Model -> answers it gave."""
        counts = Counter(o.served_by or "?" for o in self.runs[name] if o.error is None)
        return dict(counts.most_common())

    def errors(self) -> dict[str, int]:
        """What failed, and how often, over all runs."""
        counts = Counter(o.error for run in self.runs.values() for o in run if o.error)
        return dict(counts.most_common())

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
    """`on_answer` is called with the run's name after each answer."""
    runs: dict[str, Run] = {}
    for name, prefer in _PREFER.items():
        run = await ask_all(url, items, prefer, concurrency, partial(on_answer, name))
        runs[name] = run
        edge = {outcome.served_by for outcome in runs[EDGE_ONLY] if outcome.route == EDGE}
        runs[name] = [stood_in(outcome, edge - {None}) for outcome in run]
    return Comparison(shown_url(url), concurrency, runs)


def stood_in(outcome: Outcome, edge: Set[str | None]) -> Outcome:
    """A failure, where a model of `edge` answered what was the cloud's to answer: the graph had
    degraded."""
    if outcome.error is None and outcome.route == CLOUD and outcome.served_by in edge:
        return outcome.degraded()
    return outcome


def table(comparison: Comparison, title: str, width: int) -> Table:
    """For a terminal of `width` columns: a row for each run, the routed one in bold; where that
    would be cut, a column for each run."""
    models = {
        name: "\n".join(f"{model} {n}" for model, n in comparison.served_by(name).items())
        for name in comparison.runs
    }
    values = {name: _shown(comparison, name) for name in comparison.runs}
    bold = {name: "bold" if name == ROUTED else "" for name in comparison.runs}
    wide = _empty(comparison, title)
    wide.add_column("", no_wrap=True)
    for metric in METRICS:
        wide.add_column(metric.title, justify="right", no_wrap=True)
    wide.add_column("served by", no_wrap=True)
    for name in comparison.runs:
        wide.add_row(name, *values[name], models[name], style=bold[name])
    if Console(width=10_000).measure(wide).maximum <= width:
        return wide
    narrow = _empty(comparison, title)
    narrow.add_column("")
    for name in comparison.runs:
        narrow.add_column(name, justify="right", style=bold[name], overflow="fold")
    for index, metric in enumerate(METRICS):
        narrow.add_row(metric.title, *(values[name][index] for name in comparison.runs))
    narrow.add_row("served by", *models.values())
    return narrow


def _empty(comparison: Comparison, title: str) -> Table:
    questions = len(comparison.runs[ROUTED])
    return Table(
        title=title,
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
        caption=f"{questions} questions, {comparison.concurrency} at a time, {comparison.url}; "
        "kept: share of CloudOnly's accuracy",
        title_justify="left",
        caption_justify="left",
    )


def _shown(comparison: Comparison, name: str) -> list[str]:
    numbers = comparison.numbers(name)
    return [
        "-" if (value := numbers[metric.name]) is None else metric.show(value) for metric in METRICS
    ]
