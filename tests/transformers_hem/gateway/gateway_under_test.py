"""A gateway in this process, on a port of its own, whose two sides send what a test says."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI

from inferencegraph.router.server import bind_port
from predictors.contract import CLOUD, EDGE
from predictors.prices import Prices
from predictors.serving.connection import Connections
from predictors.serving.server import install
from predictors.upstream.settings import Limits
from transformers_hem.algorithms.base import Route
from transformers_hem.gateway.keys import Keys
from transformers_hem.gateway.options import DecideAt
from transformers_hem.gateway.pace import TimeLimits
from transformers_hem.gateway.routes import Gateway
from transformers_hem.gateway.site import Site, Target
from transformers_hem.gateway.sticky import Sticky, StickyBy
from transformers_hem.guards.base import Guard
from transformers_hem.reload.in_force import Current, InForce
from transformers_hem.serving.query_stage import MiningThenInference
from transformers_hem.serving.settings import HEMSettings, build_decider

NOBODY = "http://127.0.0.1:9"


class _Server(uvicorn.Server):
    def capture_signals(self) -> Any:
        return contextlib.nullcontext()


@contextlib.asynccontextmanager
async def gateway(
    *,
    edge: str = NOBODY,
    cloud: str = NOBODY,
    algorithm: str | None = "CloudOnly",
    strategy: str | None = None,
    strategy_parameters: str = "",
    keys: Path | None = None,
    patience: float = 15.0,
    limits: Mapping[str, Any] | None = None,
    sticky: StickyBy = "off",
    private: StickyBy = "off",
    guards: Mapping[str, Guard] | None = None,
    first_token: float = 20.0,
    between_tokens: float = 20.0,
    ledger: Path | None = None,
    prices: Prices | None = None,
    decide_at: DecideAt = "end",
    **options: Any,
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of site `qa`, whose models are called `m` on either side."""
    chosen: dict[str, Any] = {"algorithm": algorithm}
    if strategy is not None:
        designed = {"strategy": strategy, "strategy_parameters": strategy_parameters}
        chosen |= {**designed, "MINING_MODE": "self-design"}
    decider = build_decider(HEMSettings(**chosen))
    joint = decider.strategy is not None and decider.strategy.at_edge
    decider.guards = guards or {}
    usual = {"first_byte_timeout": 30, "between_bytes_timeout": 30}  # as build_gateway has them
    bounds = Limits(**{"timeout": 30, "retries": 0, **usual, **(limits or {})})
    leaving = bounds.model_copy(update={"ledger": str(ledger or "")})
    sides: dict[Route, Target] = {
        # A joint edge is a predictor of ours, which reads the route.
        EDGE: Target(EDGE, edge if joint else f"{edge}/v1", "m", bounds, reads_route=joint),
        CLOUD: Target(CLOUD, edge if joint else f"{cloud}/v1", "m", leaving),
    }
    served = Gateway(
        Site("qa", sides),
        MiningThenInference("qa-hem", decider),
        Current(InForce(decider, Keys(keys, open=True), prices, decide_at)),
        Sticky(sticky, "x-session-id"),
        private=Sticky(private, "x-session-id"),
        limits=TimeLimits(first_token, between_tokens),
        patience=patience,
        **options,
    )
    app = FastAPI()
    served.add_to(app)
    install(app, 8 * 2**20, cancel_on_disconnect=False)
    served.share(app)
    bound = bind_port("127.0.0.1", 0)
    config = uvicorn.Config(app, http=Connections(), lifespan="off", log_level="warning")
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[bound]))
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        async with httpx.AsyncClient(base_url=url, timeout=40) as client:
            yield client
    finally:
        server.should_exit = server.force_exit = True
        await task
        await served.close()


def chat(text: str = "hello", **fields: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": text}]
    return {"model": "qa", "messages": messages, "stream": True, **fields}
