"""Options of a vLLM server that checks drafts."""

from typing import Literal

from pydantic import Field

from predictors.upstream.openai.endpoint import KeyedEndpoint
from predictors.upstream.settings import HTTPURL, HTTPUpstreamSettings


class VLLMVerifierSettings(KeyedEndpoint, HTTPUpstreamSettings):
    url: HTTPURL
    vllm_check: Literal["prompt_logprobs", "prefixes"] = Field(
        "prompt_logprobs",
        description="how a vLLM server is asked: for what it thinks of the prompt's tokens, which "
        "computes the whole prompt in each round; or for a token behind each beginning of the "
        "draft, on its prefix cache",
    )
