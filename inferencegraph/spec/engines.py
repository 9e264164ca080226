"""The inference engines by name, and which configuration block is whose.

The blocks themselves, `vllmConfig` and so on, are in `blocks`.
"""

from collections.abc import Mapping
from typing import Final

from pydantic import field_validator

from inferencegraph.spec.blocks import (
    ClassifierConfig,
    EngineConfig,
    HuggingFaceConfig,
    LlamaCppConfig,
    LMDeployConfig,
    OllamaConfig,
    OpenAIConfig,
    SednaConfig,
    SednaWorkerConfig,
    SGLangConfig,
    SpeculativeConfig,
    TritonConfig,
    VLLMConfig,
)
from inferencegraph.spec.fields import Part
from predictors.errors import known

# Engine -> the field of its block. Other spellings are in ALIASES.
BLOCKS: Final = {
    "classifier": "classifier_config",
    "huggingface": "huggingface_config",
    "kserve": None,
    "llama-cpp": "llama_cpp_config",
    "lmdeploy": "lmdeploy_config",
    "ollama": "ollama_config",
    "openai_api": "openai_config",
    "sedna": "sedna_config",
    "sedna_worker": "sedna_worker_config",
    "sglang": "sglang_config",
    "speculative": "speculative_config",
    "triton": "triton_config",
    "vllm": "vllm_config",
    "vllm-server": "vllm_config",
}
# The engines whose own server stands in the pod beside our predictor.
SERVED_BESIDE: Final = ("llama-cpp", "lmdeploy", "ollama", "sglang", "vllm-server")
# Of those, the ones that take their options as variables, with what these begin with.
BY_ENVIRONMENT: Final = {"llama-cpp": "LLAMA_ARG_", "ollama": "OLLAMA_"}
ALIASES: Final = {"openai": "openai_api", "llamacpp": "llama-cpp", "llama.cpp": "llama-cpp"}
# Fields of a block that an engine with the same block doesn't have, and what to write instead.
LACKING: Final[Mapping[str, Mapping[str, str]]] = {
    "vllm-server": {
        "device_ids": "give the pod fewer GPUs, or template's env CUDA_VISIBLE_DEVICES",
        "kv_cache_gib": "write engineArgs: {kv_cache_memory_bytes: ...}",
        "logprobs": "leave it out: each request asks for them",
    }
}


class InferenceConfig(Part):
    """The engine of both sides, or of the side that has one of its own. Absent: what the model's
    source suggests."""

    engine: str | None = None
    classifier_config: ClassifierConfig | None = None
    huggingface_config: HuggingFaceConfig | None = None
    llama_cpp_config: LlamaCppConfig | None = None
    lmdeploy_config: LMDeployConfig | None = None
    ollama_config: OllamaConfig | None = None
    openai_config: OpenAIConfig | None = None
    sedna_config: SednaConfig | None = None
    sedna_worker_config: SednaWorkerConfig | None = None
    sglang_config: SGLangConfig | None = None
    speculative_config: SpeculativeConfig | None = None
    triton_config: TritonConfig | None = None
    vllm_config: VLLMConfig | None = None

    @field_validator("engine")
    @classmethod
    def _known_engine(cls, engine: str | None) -> str | None:
        if engine is None:
            return None
        engine = ALIASES.get(engine.lower(), engine.lower())
        if engine not in BLOCKS:
            raise ValueError(f"unknown engine; {known(engine, BLOCKS)}")
        return engine

    def block(self, engine: str) -> EngineConfig | None:
        """The block of that engine, where there is one."""
        field = BLOCKS.get(engine)
        return getattr(self, field) if field else None
