"""What a benchmark found, as facts: one JSON file, from which table, CSV and report are made."""

import os
import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, Final

import numpy as np

from inferencegraph.evaluate.metrics import BY_NAME, METRICS
from inferencegraph.evaluate.metrics.columns import Columns, columns_of
from inferencegraph.evaluate.metrics.routers import router_metrics
from inferencegraph.evaluate.replay import qualities
from inferencegraph.evaluate.run import Finished, Run
from inferencegraph.evaluate.statistics import Resampler, compare
from inferencegraph.evaluate.systems import CLOUD_ONLY
from predictors.contract import EDGE
from predictors.prices import Prices, read_prices
from transformers_hem.evaluation.quality import curve

VERSION: Final = 1
_WRONG_SHOWN: Final = 5  # examples of wrong routings, of either kind
_TEXT_SHOWN: Final = 400  # characters
_POINTS: Final = 101  # of a curve


def facts(finished: Finished) -> dict[str, Any]:
    """Everything that reports show. Raises ConfigurationError for a price file that is not one."""
    benchmark = finished.benchmark
    prices = read_prices(benchmark.prices) if benchmark.prices else None
    runs = {run.system.name: _columns(run, finished, prices) for run in finished.runs}
    cloud = runs.get(CLOUD_ONLY) or columns_of(
        finished.cloud, worst=benchmark.worst, prices=prices, models=benchmark.models
    )
    resampler = Resampler(len(finished.items), benchmark.resamples, benchmark.seed)
    systems = [
        _system(run, runs[run.system.name], cloud, resampler, finished) for run in finished.runs
    ]
    _compare(systems, runs, resampler, finished)
    return {
        "hem_evaluate": VERSION,
        "name": benchmark.name,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(finished.seconds, 3),
        "hem": version("kserve-hem"),
        "machine": _machine(),
        "asked": finished.asked or None,
        "through": benchmark.through if benchmark.asks else None,
        "pace": _pace(finished),
        "data": [
            {"name": d.name, "sha256": d.sha256, "rows": d.rows, "used": len(d.items)}
            for d in finished.data
        ],
        "questions": len(finished.items),
        "scorer": benchmark.scorer if benchmark.asks else None,
        "seed": benchmark.seed,
        "epsilon": benchmark.epsilon,
        "worst": benchmark.worst,
        "confidence": benchmark.confidence,
        "resamples": benchmark.resamples,
        "currency": prices.currency if prices else None,
        "baseline": benchmark.baseline,
        "sort_by": list(benchmark.sort_by),
        "columns": None if benchmark.columns is None else list(benchmark.columns),
        "systems": ranked(systems, benchmark.sort_by),
        "sides": _sides(finished),
        "runs": {system["name"]: _short_form(system) for system in systems},
        "errors": _all_errors(systems),
    }


def _short_form(system: Mapping[str, Any]) -> dict[str, Any]:
    """One number a metric, for who wants no intervals."""
    values = {metric.name: None for metric in METRICS}
    values |= {name: figure["value"] for name, figure in system["metrics"].items()}
    return {**values, "served_by": system["served_by"]}


def _all_errors(systems: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """What failed, and how often, over all runs that were measured."""
    total: Counter[str] = Counter()
    for system in systems:
        total.update(system["errors"] if system["measured"] else {})
    return dict(total.most_common())


def _threshold(run: Run) -> float:
    """Of a run that tells its difficulties, but not above which a query is hard: the largest of
    those that stayed."""
    stayed = [o.difficulty for o in run.outcomes if o.route == EDGE and o.difficulty is not None]
    return max(stayed, default=0.0)


def _machine() -> str:
    return f"{platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}"


def _pace(finished: Finished) -> dict[str, float] | None:
    benchmark = finished.benchmark
    if not benchmark.asks:
        return None
    if benchmark.rate is not None:
        return {"rate": benchmark.rate}
    return {"concurrency": benchmark.concurrency}


def _columns(run: Run, finished: Finished, prices: Prices | None) -> Columns:
    benchmark = finished.benchmark
    return columns_of(
        run.outcomes,
        worst=benchmark.worst,
        whole=run.whole,
        prices=prices,
        models=benchmark.models,
    )


def _system(
    run: Run, columns: Columns, cloud: Columns, resampler: Resampler, finished: Finished
) -> dict[str, Any]:
    system, benchmark = run.system, finished.benchmark
    metrics: dict[str, dict[str, float]] = {}
    for metric in METRICS:
        value = metric.kind.of(columns, cloud)
        if value is None or not np.isfinite(value):
            continue
        metrics[metric.name] = {"value": value}
        spread = metric.kind.interval(columns, cloud, resampler, benchmark.confidence)
        if spread is not None and np.isfinite(spread.low) and np.isfinite(spread.high):
            metrics[metric.name] |= {"low": spread.low, "high": spread.high}
    edge, large = (qualities(side, benchmark.worst) for side in (finished.edge, finished.cloud))
    fixed = system.algorithm is not None and system.algorithm.fixed_route is not None
    threshold = None if fixed else system.threshold
    if not fixed and system.algorithm is None:
        threshold = _threshold(run)
    routing = router_metrics(run.outcomes, threshold, edge, large, benchmark.epsilon)
    shown: dict[str, Any] = {
        "name": system.name,
        "kind": system.kind,
        "measured": run.measured,
        "threshold": system.threshold,
        "parameters": dict(system.parameters),
        "metrics": metrics,
        "router": routing,
        "served_by": _counted(o.served_by or "?" for o in run.outcomes if o.error is None),
        "errors": _counted(o.error for o in run.outcomes if o.error),
        "reasons": _counted(o.reason for o in run.outcomes if o.reason),
        "categories": _categories(columns, finished),
        "latency": _quantiles(columns.seconds),
        "wrong": _wrong(run, edge, large, finished),
        "curve": _curve(run, edge, large) if routing else [],
    }
    if run.provenance is not None:
        shown["provenance"] = {
            "router": run.provenance.router,
            "sha256": run.provenance.sha256,
            "trained_on_sha256": run.provenance.trained_on_sha256,
            "checked": run.provenance.checked,
        }
    return shown


def _quantiles(values: Any) -> list[float]:
    """At 0, 1, ... 100%; empty where nothing is known."""
    there = values[~np.isnan(values)]
    return np.quantile(there, np.linspace(0, 1, _POINTS)).tolist() if len(there) else []


def _counted(values: Any) -> dict[str, int]:
    return dict(Counter(values).most_common())


def _compare(
    systems: Sequence[dict[str, Any]],
    runs: Mapping[str, Columns],
    resampler: Resampler,
    finished: Finished,
) -> None:
    """Each system's quality with the baseline's, question by question."""
    benchmark = finished.benchmark
    others = [system for system in systems if system["name"] != benchmark.baseline]
    found = compare(
        [runs[system["name"]].quality for system in others],
        runs[benchmark.baseline].quality,
        resampler,
        benchmark.confidence,
    )
    for system, difference in zip(others, found, strict=True):
        system["difference"] = {
            "mean": difference.mean,
            "low": difference.interval.low,
            "high": difference.interval.high,
            "p_value": difference.p_value,
            "adjusted_p_value": difference.adjusted,
        }


def _categories(columns: Columns, finished: Finished) -> dict[str, dict[str, float]]:
    names = np.array([item.category for item in finished.items])
    found = {}
    for name in sorted(set(names.tolist()) - {""}):
        there = names == name
        found[name] = {
            "questions": int(there.sum()),
            "quality": float(columns.quality[there].mean()),
            "edge_share": float(columns.at_edge[there].mean()),
        }
    return found


def _wrong(run: Run, edge: Any, cloud: Any, finished: Finished) -> dict[str, list[dict[str, Any]]]:
    """Questions that stayed at the edge though the cloud does better, and the other way round, the
    largest differences first."""
    at_edge = np.array([outcome.route == EDGE for outcome in run.outcomes])
    gain = cloud - edge
    kinds = {
        "should_have_gone": at_edge & (gain > 0),
        "could_have_stayed": ~at_edge & (gain <= 0),
    }
    found: dict[str, list[dict[str, Any]]] = {}
    for kind, there in kinds.items():
        indices = np.flatnonzero(there)
        order = indices[np.argsort(-np.abs(gain[indices]), kind="stable")][:_WRONG_SHOWN]
        found[kind] = [_example(int(index), run, finished) for index in order]
        found[kind + "_count"] = len(indices)  # type: ignore[assignment]
    return found


def _example(index: int, run: Run, finished: Finished) -> dict[str, Any]:
    item, outcome = finished.items[index], run.outcomes[index]
    texts = {
        "query": item.question.query,
        "reference": ", ".join(item.question.references),
        "edge": finished.edge[index].text,
        "cloud": finished.cloud[index].text,
    }
    shown = {name: _short(text) for name, text in texts.items() if text}
    return {"id": item.question.id, "difficulty": outcome.difficulty, **shown}


def _short(text: str) -> str:
    return text if len(text) <= _TEXT_SHOWN else f"{text[:_TEXT_SHOWN]} ..."


def _curve(run: Run, edge: Any, cloud: Any) -> list[tuple[float, float]]:
    """Quality over the share of cloud calls, as the threshold goes from one end to the other."""
    scores = np.array([outcome.difficulty for outcome in run.outcomes], dtype=np.float64)
    whole = curve(scores, edge, cloud)
    chosen = np.unique(np.linspace(0, len(scores), _POINTS).astype(int))
    return [(float(1 - index / len(scores)), float(whole[index])) for index in chosen]


def _sides(finished: Finished) -> dict[str, Any]:
    """What both sides can do alone, and the best that could be done with both."""
    worst, epsilon = finished.benchmark.worst, finished.benchmark.epsilon
    edge, cloud = qualities(finished.edge, worst), qualities(finished.cloud, worst)
    best = curve(cloud - edge, edge, cloud)
    chosen = np.unique(np.linspace(0, len(edge), _POINTS).astype(int))
    return {
        "edge": float(edge.mean()),
        "cloud": float(cloud.mean()),
        "hard_share": float((edge < cloud - epsilon).mean()),
        "binary": bool(np.isin([edge, cloud], (0, 1)).all()),
        "oracle": [(float(1 - index / len(edge)), float(best[index])) for index in chosen],
    }


def ranked(systems: list[dict[str, Any]], sort_by: Sequence[str]) -> list[dict[str, Any]]:
    """By the metrics in `sort_by`, the best first; what has no such figure comes last."""

    def key(system: dict[str, Any]) -> tuple[float, ...]:
        values = []
        for name in sort_by:
            figure = system["metrics"].get(name)
            sign = 1 if BY_NAME[name].better == "low" else -1
            values.append(np.inf if figure is None else sign * figure["value"])
        return tuple(values)

    return sorted(systems, key=key)
