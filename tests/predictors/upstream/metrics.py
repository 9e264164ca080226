"""What the metrics say of a far side."""

from prometheus_client import REGISTRY


def up(url: str) -> float | None:
    return REGISTRY.get_sample_value("hem_upstream_up", {"upstream": url})


def failing(url: str) -> set[str]:
    return {
        sample.labels["reason"]
        for metric in REGISTRY.collect()
        if metric.name == "hem_upstream_failing"
        for sample in metric.samples
        if sample.labels["upstream"] == url
    }
