"""The page of an estimate: one file of HTML that loads nothing, for screens, phones and paper."""

from collections import Counter
from collections.abc import Iterator, Sequence
from html import escape
from typing import Final

from inferencegraph.evaluate.estimating.figure import figure
from inferencegraph.evaluate.estimating.log import LeftOut
from inferencegraph.evaluate.estimating.result import Estimate, amount, percent

_SHOWN: Final = 20  # rows that were left out

_STYLE: Final = """
:root { color-scheme: light }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 46rem; padding: 1.25rem; background: #fff; color: #222;
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere }
h1 { font-size: 1.1rem; color: #555; margin: 0 0 .75rem }
h2 { font-size: 1.1rem; margin: 2rem 0 .5rem }
.answer { font-size: 1.2rem; margin: 0; padding: .9rem 1rem; border-left: .35rem solid #1b5e9e;
  background: #eef4fa }
.answer.open { border-color: #b03a20; background: #fbf1ee }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(10rem, 1fr)); gap: .75rem;
  margin: 1.25rem 0 }
dl div { border: 1px solid #ccc; border-radius: .4rem; padding: .6rem .8rem }
dt { color: #555; font-size: .9rem }
dd { margin: 0; font-size: 1.35rem; font-weight: 600 }
dd small { display: block; font-size: .85rem; font-weight: 400; color: #555 }
svg { display: block; width: 100%; max-width: 35rem; height: auto; margin: 0 auto }
figure { margin: 1rem 0 }
figcaption, .note { color: #555; font-size: .9rem }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
th, td { text-align: right; padding: .25rem .4rem; border-bottom: 1px solid #ddd;
  white-space: nowrap }
th { font-weight: 600; border-bottom: 2px solid #555 }
code { background: #f3f3f3; padding: .1rem .25rem }
@media (max-width: 30rem) { table { font-size: .85rem } th, td { padding: .25rem .2rem } }
@media print { body { max-width: none; padding: 0; font-size: 10.5pt }
  h2, figure, table, dl div { break-inside: avoid } .answer { background: none } }
"""


def page(found: Estimate, log: str, left_out: Sequence[LeftOut] = ()) -> str:
    """`log` is the name of its file."""
    kind = "answer" if found.threshold is not None else "answer open"
    headline, *others = found.sentences()
    parts = [
        f"<h1>What stays at the edge: an estimate from {escape(log)}</h1>",
        f'<p class="{kind}">{escape(headline)}</p>',
        _tiles(found),
        *_curve(found),
        "<h2>What this means</h2>",
        *(f"<p>{escape(sentence.strip())}</p>" for sentence in others),
        _promise(found),
        *_left_out(left_out),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>hem estimate: {escape(log)}</title><style>{_STYLE}</style></head>\n<body>\n"
        + "\n".join(parts)
        + "\n</body></html>\n"
    )


def _tiles(found: Estimate) -> str:
    tiles = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}<small>{escape(more)}</small></dd></div>"
        for name, value, more in _figures(found)
    )
    return f"<dl>{tiles}</dl>"


def _figures(found: Estimate) -> Iterator[tuple[str, str, str]]:
    if found.threshold is not None and found.share_interval is not None:
        yield "at the edge", f"{found.edge_share:.1%}", percent(found.share_interval)
    if (saved := found.savings) is not None:
        queries = found.per_month or 1000
        of = "a month" if found.per_month else "per 1,000 queries"
        low, high = (amount(queries * end) for end in saved.interval)
        yield (
            f"saved {of}",
            f"{amount(queries * saved.saved)} {saved.currency}".strip(),
            f"{low} to {high}, of {amount(queries * saved.spent)}",
        )
    if (times := found.latency) is not None:
        cloud = "not in the log" if times.cloud_median is None else f"{times.cloud_median:.3g} s"
        yield "their median answer", f"{times.edge_median:.3g} s", f"the cloud's: {cloud}"
    counts = found.counts
    yield "labels", f"{counts.labels:,}", f"of {counts.logged:,} queries"


def _curve(found: Estimate) -> Iterator[str]:
    if not found.curve:
        return
    limit = "" if found.aim.edge_ratio is not None else "dashed red: what may be lost; "
    yield (
        f"<figure>{figure(found)}<figcaption>Blue: the trained router, with an interval for each "
        f"point by itself (confidence {found.aim.confidence:g}); {limit}dotted grey: a coin in its "
        "place. Loss: how much lower the mean score is than with the cloud alone.</figcaption>"
        "</figure>"
    )
    saves = any(point.saved is not None for point in found.curve)
    queries = found.per_month or 1000
    head = ["at the edge", "loss", "interval"] + (["saved"] if saves else [])
    rows = []
    for point in found.curve:
        low, high = point.interval
        cells = [f"{point.edge_share:.0%}", f"{point.loss:.3f}", f"{low:.3f} to {high:.3f}"]
        if saves:
            cells.append("" if point.saved is None else amount(queries * point.saved))
        rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    names = "".join(f"<th>{name}</th>" for name in head)
    yield f"<table><thead><tr>{names}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _promise(found: Estimate) -> str:
    if found.threshold is None:
        return ""
    return (
        '<p class="note">The router and its threshold are in the folder <code>router</code> beside '
        "this page; <code>HEM_ROUTER</code> serves them. The confidence is that of a bound which "
        "holds at whatever number of labels one stops. Who tries several limits on one log, and "
        "takes the nicest, has no such promise.</p>"
    )


def _left_out(rows: Sequence[LeftOut]) -> Iterator[str]:
    if not rows:
        return
    yield f"<h2>{len(rows):,} rows of the log were left out</h2><ul>"
    shown = rows[:_SHOWN]
    yield "".join(f"<li>{escape(each.where)}: {escape(each.reason)}</li>" for each in shown)
    if len(rows) > _SHOWN:
        kinds = Counter(each.reason.partition(":")[0] for each in rows[_SHOWN:])
        most = ", ".join(f"{escape(kind)} ({count})" for kind, count in kinds.most_common(5))
        yield f"<li>and {len(rows) - _SHOWN:,} more: {most}</li>"
    yield "</ul><p>The estimate says nothing of such queries.</p>"
