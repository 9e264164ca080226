"""Options of the engine."""

from typing import Literal

from pydantic import Field

from predictors.contract.speculation import MOST_DRAFTED
from predictors.settings import EngineSettings

CPU_CACHE_TOKENS = 8192


class ModelSettings(EngineSettings):
    """Of a model of transformers, whatever it is for."""

    model_dir: str = Field(
        description="directory in Hugging Face format, hub id, or a shipped one: embedded:edge, ..."
    )
    revision: str | None = Field(None, description="branch, tag or commit of a hub id")
    trust_remote_code: bool = Field(False, description="run code that comes with the model")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto",
        description="auto: the checkpoint's own on a GPU, float32 on the CPU; where weights are "
        "quantised, what suits them",
    )
    quantization: Literal["none", "8bit", "4bit"] = Field(
        "none", description="of the weights: by bitsandbytes on a GPU, by torchao on the CPU"
    )
    threads: int | None = Field(
        None,
        ge=1,
        description="CPU threads per operation of torch (small models: 1; others: torch's own)",
    )
    max_batch_size: int = Field(32, ge=1, description="queries generated at once; others wait")


class HuggingFaceSettings(ModelSettings):
    batching: Literal["auto", "continuous", "plain"] = Field(
        "auto", description="plain: in groups; auto: continuous where the model can"
    )
    kv_cache_tokens: int | None = Field(
        None,
        ge=64,
        description="tokens of all running queries together that the key-value cache of "
        f"continuous batching holds (CPU: {CPU_CACHE_TOKENS}; GPU: what memory is left)",
    )
    verify_slots: int = Field(
        0,
        ge=0,
        le=1024,
        description="sequences whose drafts are checked at once, for predictors with the engine "
        "speculative; 0: none",
    )
    verify_tokens: int = Field(
        1024, ge=64, description="tokens of prompt and answer that one of them may have"
    )
    assistant_dir: str = Field(
        "",
        description="a smaller model with the same tokenizer, in the same process, that drafts "
        "answers; they stay the same; none if empty",
    )
    assistant_slots: int = Field(
        4,
        ge=1,
        le=256,
        description="queries up to which it drafts; where more run, all of them go without",
    )
    assistant_tokens: int = Field(
        0,
        ge=0,
        le=MOST_DRAFTED,
        description="tokens to draft in each round; 0: by how many were taken",
    )
