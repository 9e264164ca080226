"""What a benchmark says, in sentences: what routing keeps, what it saves, and how sure that is."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from inferencegraph.evaluate.metrics import duration, percent

_ENDS: Final = ("EdgeOnly", "CloudOnly", "OracleRouter")
_SURE: Final = 0.05


def verdict(result: Mapping[str, Any]) -> list[str]:
    """The first sentence is of the pair, the others of its routers."""
    return [*_pair(result), *_best(result)]


def _pair(result: Mapping[str, Any]) -> Iterator[str]:
    sides = result["sides"]
    show = percent if sides["binary"] else "{:.3f}".format
    yield (
        f"Alone the edge reaches {show(sides['edge'])} and the cloud {show(sides['cloud'])}. The "
        f"cloud does better on {percent(sides['hard_share'])} of the questions: those should go "
        "there, all others could stay."
    )
    if sides["cloud"] <= sides["edge"]:
        yield (
            "The cloud is not better than the edge on these questions: there is nothing that "
            "routing could gain in quality."
        )


def _best(result: Mapping[str, Any]) -> Iterator[str]:
    routers = [system for system in result["systems"] if _routes(system)]
    if not routers:
        yield "No router is among the systems: add one to see what it keeps and saves."
        return
    for system in routers:
        yield _router(system, result)


def _routes(system: Mapping[str, Any]) -> bool:
    return system["kind"] not in (*_ENDS, "Random", "RandomRouter")


def _router(system: Mapping[str, Any], result: Mapping[str, Any]) -> str:
    metrics = system["metrics"]
    share = metrics["edge_share"]["value"]
    text = f"{system['name']} keeps {percent(share)} of the questions at the edge"
    if "kept" in metrics:
        kept = metrics["kept"]
        text += f" and {percent(kept['value'])} of the cloud's quality"
        if "low" in kept:
            text += f" ({percent(kept['low'])} to {percent(kept['high'])})"
    if (saved := metrics.get("cost_saved")) is not None:
        text += f"; it saves {percent(saved['value'])} of the cost"
    text += f". {_beside_coin(system, result)}"
    if (found := system.get("difference")) is not None:
        text += f" {_beside_baseline(found, result)}"
    latency = metrics.get("latency_p50_seconds")
    cloud = next((s for s in result["systems"] if s["kind"] == "CloudOnly"), None)
    if latency and cloud and (other := cloud["metrics"].get("latency_p50_seconds")):
        text += (
            f" Half of its answers are there within {duration(latency['value'])}, of the cloud's "
            f"within {duration(other['value'])}."
        )
    return text


def _beside_coin(system: Mapping[str, Any], result: Mapping[str, Any]) -> str:
    """A coin that sends as many to the cloud has this quality on average."""
    sides = result["sides"]
    share = system["metrics"]["edge_share"]["value"]
    coin = share * sides["edge"] + (1 - share) * sides["cloud"]
    quality = system["metrics"]["quality"]
    show = percent if sides["binary"] else "{:.3f}".format
    if quality.get("low", quality["value"]) > coin:
        relation = "It is better than"
    elif quality.get("high", quality["value"]) < coin:
        relation = "It is worse than"
    else:
        relation = "It can't be told from"
    return (
        f"{relation} a coin that sends as many to the cloud ({show(coin)}; it has "
        f"{show(quality['value'])})."
    )


def _beside_baseline(found: Mapping[str, float], result: Mapping[str, Any]) -> str:
    baseline = result["baseline"]
    if found["adjusted_p_value"] < _SURE:
        direction = "better" if found["mean"] > 0 else "worse"
        return f"That it is {direction} than {baseline} is no accident (p {_p(found)})."
    return (
        f"These questions don't show that it differs from {baseline} (p {_p(found)}): the "
        f"difference may be from {found['low']:+.3f} to {found['high']:+.3f}."
    )


def _p(found: Mapping[str, float]) -> str:
    value = found["adjusted_p_value"]
    return "< 0.001" if value < 0.001 else f"= {value:.3f}"
