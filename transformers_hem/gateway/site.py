"""A site's models: what callers call them, and where each is."""

import asyncio
import math
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from predictors.contract import CLOUD, EDGE
from predictors.contract.openai.errors import PREFIXES
from predictors.errors import Cause, UnknownModel, UpstreamError, known
from predictors.upstream.attempt import Refusal
from predictors.upstream.client import build_client
from predictors.upstream.http import HTTPUpstream
from predictors.upstream.openai.refusals import told
from predictors.upstream.probe import LOOK_SECONDS
from predictors.upstream.settings import Limits
from transformers_hem.algorithms.base import Route
from transformers_hem.gateway.callers import Caller

MODELS = "/models"


class Target:
    """One side: an OpenAI-compatible server at `url`, whose model is `model` (empty: the one that
    it lists). A predictor of ours has its routes below /openai/v1. `counts`: it tells the usage
    of its streams, as far as is known. `verify` is of TLS, as build_client takes it.
    `reads_route`: it is told the route, by which it asks the cloud or does not."""

    def __init__(
        self,
        route: Route,
        url: str,
        model: str,
        limits: Limits,
        verify: ssl.SSLContext | str = "",
        *,
        reads_route: bool = False,
    ) -> None:
        base = url.rstrip("/")
        ours = not base.partition("?")[0].endswith("/v1")
        if ours:
            base += PREFIXES[0]
        self.route = route
        self.counts = True
        self._model = model
        # Who waits for an answer has limits of its own, so that none of the client's ends it first.
        client = build_client(None, connect=limits.connect_timeout, verify=verify)
        self.http = HTTPUpstream(
            base,
            limits,
            client,
            refused=told(Refusal.relayed),
            health=MODELS,
            tells_decision=ours and (route == CLOUD or reads_route),
            tells_tenant=ours,
        )

    @property
    def named(self) -> str:
        """Its model, as far as it is known; else empty."""
        return self._model

    async def model(self) -> str:
        """Raises UpstreamError where the server lists no model, or several."""
        if not self._model:
            seconds = LOOK_SECONDS
            try:
                async with asyncio.timeout(seconds):
                    self._model = await self.http.get(MODELS, self._only)
            except TimeoutError:
                text = f"{self.http.url} did not list its models within {seconds:g} s"
                raise UpstreamError(text, Cause.TIMEOUT) from None
        return self._model

    def _only(self, listed: Any) -> str:
        try:
            names = [str(each["id"]) for each in listed["data"]]
        except (KeyError, TypeError):
            raise ValueError("not a list of models") from None
        if len(names) != 1:
            raise ValueError(
                f"a list of {len(names)} models; name one by HEM_{self.route.upper()}_MODEL"
            )
        return names[0]

    async def close(self) -> None:
        await self.http.close()


@dataclass(frozen=True, slots=True)
class Site:
    """`name` routes; NAME-edge and NAME-cloud force a side."""

    name: str
    targets: Mapping[Route, Target]

    @property
    def models(self) -> tuple[str, str, str]:
        return self.name, f"{self.name}-{EDGE}", f"{self.name}-{CLOUD}"

    def prefer(self, model: str, caller: Caller) -> Route | None:
        """The side that the caller's `model`, or its policy, forces. Raises UnknownModel, or
        Forbidden."""
        policies = self._policies()
        if model not in policies:
            raise UnknownModel(f"model {model!r} is not served; {known(model, self.models)}")
        return caller.prefer(model, policies[model])

    def may_call(self, caller: Caller) -> list[str]:
        """The models that are this caller's."""
        return [m for m, forced in self._policies().items() if caller.may_call(m, forced)]

    def _policies(self) -> dict[str, Route | None]:
        return dict(zip(self.models, (None, EDGE, CLOUD), strict=True))

    def down(self, sides: Sequence[Route]) -> UpstreamError | None:
        """What to tell where all of these are believed to be down."""
        told = []
        seconds = math.inf
        for side in sides:
            doubt = self.targets[side].http.doubts()
            if doubt is None:
                return None
            told.append(f"the {side}: {doubt}")
            seconds = min(seconds, doubt.retry_after or 0.0)
        return UpstreamError("; ".join(told), Cause.UNREACHABLE, retry_after=seconds)

    async def close(self) -> None:
        for target in self.targets.values():
            await target.close()


def site_name(model_name: str) -> str:
    """Of HEM's own: qa of qa-hem, and of qa-edge, which is HEM's in the answer stage."""
    return model_name.removesuffix("-hem").removesuffix(f"-{EDGE}")
