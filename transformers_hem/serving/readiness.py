"""Readiness of the answer stage: HEM is ready when the predictor behind it is.

kserve asks a model's `healthy` on every inference too, and its own check of a predictor answers an
unreachable one with 500; so these routes stand before kserve's.
"""

from typing import Any

from fastapi import FastAPI

from transformers_hem.serving.predictor_client import PredictorClient


def add_ready_routes(app: FastAPI, model_name: str, predictor: PredictorClient) -> None:
    """503 with an `error` that says why, until the predictor is ready."""

    async def model_ready() -> dict[str, Any]:
        await predictor.require_ready()
        return {"name": model_name, "ready": True}

    async def server_ready() -> dict[str, Any]:
        await predictor.require_ready()
        return {"ready": True}

    app.add_api_route(f"/v2/models/{model_name}/ready", model_ready, methods=["GET"])
    app.add_api_route("/v2/health/ready", server_ready, methods=["GET"])
