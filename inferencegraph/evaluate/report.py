"""A comparison as a table for people."""

from rich.table import Table

from inferencegraph.evaluate.comparison import ROUTED, Comparison
from inferencegraph.evaluate.metrics import METRICS


def table(comparison: Comparison, title: str) -> Table:
    questions = len(comparison.runs[ROUTED])
    made = Table(
        title=title,
        caption=f"{questions} questions, {comparison.concurrency} at a time, {comparison.url}",
        title_justify="left",
        caption_justify="left",
    )
    made.add_column("")
    for metric in METRICS:
        made.add_column(metric.title, justify="right", no_wrap=True)
    made.add_column("served by")
    for name in comparison.runs:
        numbers = comparison.numbers(name)
        shown = [
            "-" if (value := numbers[metric.name]) is None else metric.show(value)
            for metric in METRICS
        ]
        models = ", ".join(f"{model} {n}" for model, n in comparison.served_by(name).items())
        made.add_row(name, *shown, models, style="bold" if name == ROUTED else "")
    return made
