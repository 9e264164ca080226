"""Options of the engine: what drafts, and the server that checks."""

from typing import Any, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from predictors.contract.speculation import MOST_DRAFTED
from predictors.engines.huggingface.settings import ModelSettings
from predictors.engines.speculative.vllm_settings import VLLMVerifierSettings
from predictors.upstream.settings import HTTPURL, HTTPUpstreamSettings


class SpeculativeSettings(VLLMVerifierSettings, HTTPUpstreamSettings, ModelSettings):
    url: HTTPURL = Field(
        description="base URL of the server that checks: a predictor with --engine huggingface and "
        "--verify_slots, or a vLLM server"
    )
    verifier: Literal["predictor", "vllm"] = Field(
        "predictor",
        description="what it is: predictor (one of ours), or vllm (its OpenAI server, for greedy "
        "answers without penalties)",
    )
    drafter: Literal["model", "prompt-lookup"] = Field(
        "model",
        description="model: the one of model_dir; prompt-lookup: what stood behind the same tokens "
        "before, in prompt and answer, for which only the tokenizer of model_dir is read",
    )
    lookup_longest: int = Field(
        4, ge=1, le=16, description="prompt-lookup: most tokens that have to be the same"
    )
    lookup_shortest: int = Field(2, ge=1, le=16, description="and fewest")
    context_tokens: int = Field(
        1024, ge=64, description="tokens of prompt and answer that are drafted for"
    )
    draft_tokens: int = Field(
        0,
        ge=0,
        le=MOST_DRAFTED,
        description="tokens to draft in each round; 0: by how many were taken, and how long "
        "drafts, checks and the link take",
    )
    rounds_in_flight: int = Field(
        24,
        ge=1,
        le=64,
        description="rounds of one answer that may be under way; 1: draft, wait, and draft again. "
        "By the rule rejection it is always 1",
    )
    branches: int = Field(
        4,
        ge=0,
        le=64,
        description="other ways on, in place of tokens that may be refused, that are drafted for "
        "at once, all answers together; 0: none, as with policy capacity",
    )
    policy: Literal["latency", "capacity", "always"] = Field(
        "latency",
        description="when it speculates; latency: where that is faster than the far server alone; "
        "capacity: where it costs the far server less; always: wherever it can",
    )
    slower_at_most: float = Field(
        1.5,
        gt=0,
        description="policy capacity: how many times as long as the far server alone an answer may "
        "take",
    )
    on_far_failure: Literal["finish", "error"] = Field(
        "error",
        description="where the far server fails: finish: the small model ends the answer alone, "
        "and the answer says so; error: the answer fails. Who forces the cloud always gets the "
        "error",
    )
    on_break: Literal["finish", "error"] = Field(
        "error", description="older name of on_far_failure"
    )
    rule: Literal["coupled", "rejection"] = Field(
        "coupled",
        description="which drafted tokens are taken where an answer is drawn at random: coupled "
        "gives token for token what the large model gives alone; rejection has its distribution "
        "and takes more",
    )

    @model_validator(mode="before")
    @classmethod
    def _by_both_names(cls, given: Any) -> Any:
        """Whichever name was said, both have the value."""
        names = ("on_far_failure", "on_break")
        said = {name: given[name] for name in names if given.get(name) is not None}
        return {**given, **dict.fromkeys(names, *said.values())} if len(said) == 1 else given

    @field_validator("on_break")
    @classmethod
    def _says_the_same(cls, said: str, info: ValidationInfo) -> str:
        if said != info.data.get("on_far_failure", said):
            raise ValueError("is the older name of on_far_failure, which says otherwise: say one")
        return said

    @model_validator(mode="after")
    def _looks_something_up(self) -> Self:
        if self.lookup_shortest > self.lookup_longest:
            raise ValueError(
                f"lookup_shortest {self.lookup_shortest} is more than lookup_longest "
                f"{self.lookup_longest}: nothing would be looked up"
            )
        return self
