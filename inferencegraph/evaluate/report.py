"""A comparison as a table for people."""

from rich import box
from rich.table import Table

from inferencegraph.evaluate.comparison import ROUTED, Comparison
from inferencegraph.evaluate.metrics import METRICS


def table(comparison: Comparison, title: str) -> Table:
    questions = len(comparison.runs[ROUTED])
    made = Table(
        title=title,
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
        caption=f"{questions} questions, {comparison.concurrency} at a time, {comparison.url}; "
        "kept: share of CloudOnly's accuracy",
        title_justify="left",
        caption_justify="left",
    )
    made.add_column("", no_wrap=True)
    for metric in METRICS:
        made.add_column(metric.title, justify="right")
    made.add_column("served by", no_wrap=True)
    for name in comparison.runs:
        numbers = comparison.numbers(name)
        shown = [
            "-" if (value := numbers[metric.name]) is None else metric.show(value)
            for metric in METRICS
        ]
        models = "\n".join(f"{model} {n}" for model, n in comparison.served_by(name).items())
        made.add_row(name, *shown, models, style="bold" if name == ROUTED else "")
    return made
