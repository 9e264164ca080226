"""Keeps requests at the edge while the cloud is believed to be down: nobody waits for it first.

Two know: the circuit breakers of this process, as the gateway has them, and the uplink, which is
asked for its metrics beside all requests.
"""

import asyncio
import logging
import math
import threading
import time
from collections.abc import Mapping
from typing import ClassVar, Final, Literal

from prometheus_client import Gauge
from prometheus_client.parser import text_string_to_metric_families
from pydantic import Field, model_validator

from predictors.contract import EDGE
from predictors.errors import Cause, ConfigurationError, HEMError, UpstreamError
from predictors.upstream.attempt import attempt
from predictors.upstream.breaker import OPEN, is_doubted
from predictors.upstream.client import Client, Response, build_client
from predictors.upstream.redaction import shown_url
from predictors.upstream.settings import http_url_with_parameters
from transformers_hem.algorithms.base import Batch, Route
from transformers_hem.guards.admission import Going
from transformers_hem.guards.base import Guard, GuardParameters

logger = logging.getLogger("kserve.hem")

# failing: all calls fail, though the breaker lets them through, as with a key that is refused.
Belief = Literal["up", "down", "failing"]
BREAKER: Final = "hem_upstream_breaker"
UP: Final = "hem_upstream_up"
LOOK_SECONDS: Final = 2.0  # that one look may take
SELDOM_SECONDS: Final = 60.0  # between looks at a server that has no metrics
_MISSED: Final = 2  # looks in a row without an answer
_GONE: Final = (Cause.UNREACHABLE, Cause.TIMEOUT)
_AVAILABLE: Final = Gauge("hem_cloud_available", "0 while the cloud is believed to be down.")


class AvailabilityParameters(GuardParameters):
    """`url`: the uplink's base URL, or the cloud's, by HEM_CLOUD_URL if not given; its metrics are
    read every `seconds`. While all calls fail one goes there every `retry_seconds`. `ledger`, by
    HEM_LEDGER: where the gateway writes one, it calls what is no uplink."""

    of_settings: ClassVar[Mapping[str, str]] = {"url": "cloud_url", "ledger": "ledger"}

    url: str = ""
    seconds: float = Field(default=2.0, ge=0.1)
    retry_seconds: float = Field(default=10.0, gt=0)
    ledger: str = ""

    @model_validator(mode="after")
    def _somewhere(self) -> "AvailabilityParameters":
        if not self.url:
            raise ValueError("needs url, the uplink's, or HEM_CLOUD_URL")
        return self


class AvailabilityGuard(Guard):
    """A server that is no uplink of ours, at a URL that ends in /v1 or behind a ledger, is not
    asked: the breakers of this process alone know of it, and nothing leaves unrecorded."""

    counts: ClassVar[bool] = True  # the one that goes there while all calls fail
    Parameters: ClassVar[type[AvailabilityParameters]] = AvailabilityParameters

    def __init__(self, parameters: AvailabilityParameters) -> None:
        try:
            url = http_url_with_parameters(parameters.url)
        except ValueError as error:
            raise ConfigurationError(f"AvailabilityGuard: url {error}") from None
        self._parameters = parameters
        self._url = shown_url(url)
        self._belief: Belief = "up"
        self._missed = 0
        self._next = -math.inf
        self._stopped = False
        _IN_FORCE.append(self)
        if not (parameters.ledger or url.partition("?")[0].endswith("/v1")):
            threading.Thread(
                target=lambda: asyncio.run(self._watch()), name="hem-availability", daemon=True
            ).start()

    def route(self, batch: Batch) -> Route | None:
        return EDGE if self.is_down() else None

    async def admit(self, going: Going) -> None:
        if self._belief == "failing":
            self._next = time.monotonic() + self._parameters.retry_seconds

    def close(self) -> None:
        self._stopped = True
        if self in _IN_FORCE:
            _IN_FORCE.remove(self)

    def is_down(self) -> bool:
        match self._belief:
            case "down":
                return True
            case "failing" if time.monotonic() < self._next:
                return True
        return is_doubted(self._url)

    async def _watch(self) -> None:
        async with build_client(LOOK_SECONDS) as client:
            while not self._stopped:
                await asyncio.sleep(await self._look(client))

    async def _look(self, client: Client) -> float:
        """Seconds until the next one."""
        request = client.build_request("GET", f"{self._url}/metrics")
        try:
            text = await attempt(client, request, _text, seconds=LOOK_SECONDS)
        except HEMError as error:
            if isinstance(error, UpstreamError) and error.cause in _GONE:
                self._missed += 1
                if self._missed >= _MISSED:
                    self._believe("down", str(error))
                return self._parameters.seconds
            self._believe("up", f"{self._url} tells no metrics")
            return SELDOM_SECONDS
        self._missed = 0
        self._believe(believed(text), "as the uplink says")
        return self._parameters.seconds

    def _believe(self, belief: Belief, why: str) -> None:
        if belief == self._belief:
            return
        logger.warning("availability: the cloud is %s: %s", belief, why)
        if belief != "failing":
            self._next = -math.inf
        self._belief = belief


def believed(metrics: str) -> Belief:
    """What an uplink's metrics say of its cloud."""
    lines = [line for line in metrics.splitlines() if line.startswith((BREAKER, UP))]
    samples = [
        sample
        for family in text_string_to_metric_families("\n".join([*lines, ""]))
        for sample in family.samples
    ]
    if any(sample.name == BREAKER and sample.value == OPEN for sample in samples):
        return "down"
    failing = any(sample.name == UP and sample.value == 0 for sample in samples)
    return "failing" if failing else "up"


async def _text(response: Response, began: float) -> str:
    return (await response.aread()).decode(errors="replace")


# The newest one that is not closed: while guards are exchanged there are two of them.
_IN_FORCE: Final[list[AvailabilityGuard]] = []
_AVAILABLE.set_function(lambda: float(not (_IN_FORCE and _IN_FORCE[-1].is_down())))
