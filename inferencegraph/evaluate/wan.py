"""Bytes between the near side and the cloud, as what calls that in a local stack counts them."""

from collections.abc import Sequence
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

from inferencegraph.local.plan import Plan
from predictors.errors import HEMError
from predictors.upstream.attempt import attempt
from predictors.upstream.client import Response, build_client

_METRIC = "hem_upstream_bytes_total"
_UPLINK = "-uplink"
_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Count:
    sent: float
    received: float

    def since(self, before: "Count") -> tuple[float, float]:
        return self.sent - before.sent, self.received - before.received


@dataclass(frozen=True, slots=True)
class Traffic:
    """`urls` are those of what calls the cloud: the uplinks, mostly."""

    urls: Sequence[str]

    async def read(self) -> Count | None:
        """None where one does not tell."""
        total = {"sent": 0.0, "received": 0.0}
        async with build_client(_SECONDS) as client:
            for url in self.urls:
                request = client.build_request("GET", f"{url}/metrics")
                try:
                    text = await attempt(client, request, _text)
                except HEMError:
                    return None
                for family in text_string_to_metric_families(text):
                    for sample in family.samples:
                        if sample.name == _METRIC:
                            total[sample.labels["direction"]] += sample.value
        return Count(**total)


def wan(plan: Plan) -> Traffic | None:
    """None where the stack has no uplink, and no edge that asks the cloud itself."""
    urls = [
        part.url
        for part in plan.components
        if part.service.endswith(_UPLINK) or part.asks_the_cloud
    ]
    return Traffic(urls) if urls else None


async def _text(response: Response, began: float) -> str:
    return (await response.aread()).decode()
