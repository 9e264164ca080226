"""Options for a vLLM server that checks drafts."""

from typing import Literal

from pydantic import Field

from predictors.upstream.openai.endpoint import Keyed


class VLLMVerifierSettings(Keyed):
    vllm_check: Literal["prompt_logprobs", "prefixes"] = Field(
        "prompt_logprobs",
        description="how a vLLM server is asked: for what it thinks of a prompt's tokens, which "
        "computes the whole prompt in each round; or for a token behind each beginning of the "
        "draft, on its prefix cache",
    )
    vllm_rounds: int = Field(
        1,
        ge=1,
        le=64,
        description="rounds of one answer that may be under way to a vLLM server, at most "
        "rounds_in_flight; each costs it a pass, behind a refused token too",
    )
