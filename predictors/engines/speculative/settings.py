"""Options of the engine: the model that drafts, and the server that checks."""

from typing import Literal

from pydantic import Field

from predictors.contract.speculation import MOST_DRAFTED
from predictors.engines.huggingface.settings import ModelSettings
from predictors.upstream.settings import HTTPURL, HTTPUpstreamSettings


class SpeculativeSettings(HTTPUpstreamSettings, ModelSettings):
    url: HTTPURL = Field(
        description="base URL of the predictor that checks, with --engine huggingface and "
        "--verify_slots"
    )
    context_tokens: int = Field(
        1024, ge=64, description="tokens of prompt and answer that are drafted for"
    )
    draft_tokens: int = Field(
        0,
        ge=0,
        le=MOST_DRAFTED,
        description="tokens to draft in each round; 0: by how many were taken, and how long a "
        "round takes",
    )
    rule: Literal["coupled", "rejection"] = Field(
        "coupled",
        description="which drafted tokens are taken where an answer is drawn at random: coupled "
        "gives token for token what the large model gives alone; rejection has its distribution "
        "and takes more",
    )
