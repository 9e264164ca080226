"""The inference engines by name, and their configuration blocks (`vllmConfig`, ...).

A block holds what most deployments set, by the engine's own names; `extraArgs` reaches the rest.
"""

from typing import Annotated, Final, Literal

from pydantic import Field, field_validator

from inferencegraph.spec.fields import FromList, Part
from predictors.errors import known


class EngineConfig(Part):
    """Any engine's block."""

    extra_args: Annotated[tuple[str, ...], FromList] = Field(
        default=(), description="further options, as they stand on its command line"
    )


class HuggingFaceConfig(EngineConfig):
    revision: str | None = None
    trust_remote_code: bool | None = None
    dtype: Literal["auto", "float32", "bfloat16", "float16"] | None = None
    quantization: Literal["none", "8bit", "4bit"] | None = None
    max_batch_size: int | None = Field(default=None, ge=1)
    kv_cache_tokens: int | None = Field(default=None, ge=64)


class VLLMConfig(EngineConfig):
    revision: str | None = None
    trust_remote_code: bool | None = None
    dtype: str | None = None
    quantization: str | None = None
    max_model_len: int | None = Field(default=None, ge=2)
    max_num_seqs: int | None = Field(default=None, ge=1)
    tensor_parallel_size: int | None = Field(default=None, ge=1)
    pipeline_parallel_size: int | None = Field(default=None, ge=1)
    gpu_memory_utilization: float | None = Field(default=None, gt=0, le=1)
    enable_prefix_caching: bool | None = None
    enforce_eager: bool | None = None


class TritonConfig(EngineConfig):
    model_version: str | None = None
    transport: Literal["grpc", "http"] | None = None
    prompt_template: str | None = None


class OpenAIConfig(EngineConfig):
    repetition_penalty_field: str | None = None


class ClassifierConfig(EngineConfig):
    output: str | None = None
    activation: Literal["auto", "softmax", "sigmoid", "none"] | None = None
    min_box_score: float | None = Field(default=None, ge=0, le=1)
    max_batch_size: int | None = Field(default=None, ge=1)


class SGLangConfig(EngineConfig):
    tp_size: int | None = Field(default=None, ge=1)
    dp_size: int | None = Field(default=None, ge=1)
    mem_fraction_static: float | None = Field(default=None, gt=0, lt=1)
    context_length: int | None = Field(default=None, ge=2)
    max_running_requests: int | None = Field(default=None, ge=1)


class LMDeployConfig(EngineConfig):
    tp: int | None = Field(default=None, ge=1)
    session_len: int | None = Field(default=None, ge=2)
    cache_max_entry_count: float | None = Field(default=None, gt=0, lt=1)
    max_batch_size: int | None = Field(default=None, ge=1)
    backend: Literal["turbomind", "pytorch"] | None = None


class OllamaConfig(EngineConfig):
    context_length: int | None = Field(default=None, ge=2)
    num_parallel: int | None = Field(default=None, ge=1)


class LlamaCppConfig(EngineConfig):
    ctx_size: int | None = Field(default=None, ge=2)
    n_parallel: int | None = Field(default=None, ge=1)
    n_gpu_layers: int | None = Field(default=None, ge=0)


class SednaConfig(EngineConfig):
    """An Estimator of the user's own, written for Sedna's SDK."""

    estimator: str | None = Field(default=None, description="FILE.py:Class, or module:Class")
    result: Literal["text", "boxes", "probabilities"] | None = None
    query_as: Literal["list", "text", "dict"] | None = None
    predict_parameters: str | None = None


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
    "sedna_worker": "sedna_config",
    "sglang": "sglang_config",
    "triton": "triton_config",
    "vllm": "vllm_config",
    "vllm-server": "vllm_config",
}
# The engines whose own server stands in the pod beside our predictor.
SERVED_BESIDE: Final = ("llama-cpp", "lmdeploy", "ollama", "sglang", "vllm-server")
# Of those, the ones that take their options as variables, with what these begin with.
BY_ENVIRONMENT: Final = {"llama-cpp": "LLAMA_ARG_", "ollama": "OLLAMA_"}
ALIASES: Final = {"openai": "openai_api", "llamacpp": "llama-cpp", "llama.cpp": "llama-cpp"}


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
    sglang_config: SGLangConfig | None = None
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
