"""A server with feedback, in this process."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from predictors.serving.server import install
from transformers_hem.feedback.build import build_feedback
from transformers_hem.feedback.collecting import Collecting
from transformers_hem.gateway.keys import Keys
from transformers_hem.reload.in_force import Current, InForce
from transformers_hem.serving.settings import HEMSettings, build_decider


@contextlib.asynccontextmanager
async def collecting(
    store: str, *, keys: Path | None = None, **settings: Any
) -> AsyncIterator[tuple[httpx.AsyncClient, Collecting]]:
    """Its client, and what the gateway tells of decisions."""
    made = HEMSettings(feedback_store=store, algorithm="EdgeOnly", **settings)
    current = Current(InForce(build_decider(made), Keys(keys, open=True)))
    feedback = build_feedback(made, current)
    assert feedback is not None
    app = FastAPI()
    feedback.add_to(app)
    install(app, 8 * 2**20, cancel_on_disconnect=False)
    transport = httpx.ASGITransport(app)
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://hem") as client:
            yield client, feedback
    finally:
        await feedback.close()
