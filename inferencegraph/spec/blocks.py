"""The engines' configuration blocks (`vllmConfig`, ...): their settings, by their own names.

Those of our own engines are written down here, and not taken from the engines' settings, as some of
these import torch: a test holds both together. `extraArgs` reaches what a block doesn't have.
"""

from typing import Annotated, Any, Literal

from pydantic import Field

from inferencegraph.spec.fields import FromList, Part


class EngineConfig(Part):
    """Any engine's block."""

    extra_args: Annotated[tuple[str, ...], FromList] = Field(
        default=(), description="further options, as they stand on its command line"
    )


class UpstreamConfig(EngineConfig):
    """What limits the calls of an engine that asks another server. How long they may take is
    `timeouts` of the spec."""

    queue_timeout: float | None = Field(default=None, gt=0)
    retries: int | None = Field(default=None, ge=0)
    retry_seconds: float | None = Field(default=None, gt=0)
    overdue_seconds: float | None = Field(default=None, gt=0)
    health_timeout: float | None = Field(default=None, ge=0)
    first_byte_timeout: float | None = Field(default=None, gt=0)
    between_bytes_timeout: float | None = Field(default=None, gt=0)
    min_bytes_per_second: float | None = Field(default=None, ge=0)
    max_concurrency: int | None = Field(default=None, ge=1)
    max_queue: int | None = Field(default=None, ge=0)
    max_answer_bytes: int | None = Field(default=None, gt=0, lt=2**31)
    breaker_failures: int | None = Field(default=None, ge=0)
    breaker_seconds: float | None = Field(default=None, gt=0)
    ca_bundle: str | None = None
    client_cert: str | None = None
    client_key: str | None = Field(default=None, description="PEM file, mounted by the template")


class ModelConfig(EngineConfig):
    """Of a model of transformers, whatever it is for."""

    revision: str | None = None
    trust_remote_code: bool | None = None
    dtype: Literal["auto", "float32", "bfloat16", "float16"] | None = None
    quantization: Literal["none", "8bit", "4bit"] | None = None
    threads: int | None = Field(default=None, ge=1)
    max_batch_size: int | None = Field(default=None, ge=1)


class HuggingFaceConfig(ModelConfig):
    batching: Literal["auto", "continuous", "plain"] | None = None
    kv_cache_tokens: int | None = Field(default=None, ge=64)
    verify_slots: int | None = Field(default=None, ge=0, le=1024)
    verify_tokens: int | None = Field(default=None, ge=64)
    assistant_dir: str | None = None
    assistant_slots: int | None = Field(default=None, ge=1, le=256)
    assistant_tokens: int | None = Field(default=None, ge=0, le=64)


class SpeculativeConfig(UpstreamConfig, ModelConfig):
    """The small model, as for huggingface, and how the cloud checks what it drafts."""

    drafter: Literal["model", "prompt-lookup"] | None = None
    lookup_longest: int | None = Field(default=None, ge=1, le=16)
    lookup_shortest: int | None = Field(default=None, ge=1, le=16)
    context_tokens: int | None = Field(default=None, ge=64)
    draft_tokens: int | None = Field(default=None, ge=0, le=64)
    rounds_in_flight: int | None = Field(default=None, ge=1, le=64)
    branches: int | None = Field(default=None, ge=0, le=64)
    policy: Literal["latency", "capacity", "always"] | None = None
    slower_at_most: float | None = Field(default=None, gt=0)
    on_far_failure: Literal["finish", "error"] | None = None
    on_break: Literal["finish", "error"] | None = None  # its older name
    rule: Literal["coupled", "rejection"] | None = None
    vllm_rounds: int | None = Field(default=None, ge=1, le=64)
    vllm_check: Literal["prompt_logprobs", "prefixes"] | None = None
    api_key_header: str | None = None


class VLLMConfig(EngineConfig):
    revision: str | None = None
    trust_remote_code: bool | None = None
    dtype: str | None = None
    quantization: str | None = None
    max_model_len: int | None = Field(default=None, ge=2)
    max_num_seqs: int | None = Field(default=None, ge=1)
    logprobs: bool | None = None
    tensor_parallel_size: int | None = Field(default=None, ge=1)
    pipeline_parallel_size: int | None = Field(default=None, ge=1)
    data_parallel_size: int | None = Field(default=None, ge=1)
    device_ids: list[int | str] | None = None
    gpu_memory_utilization: float | None = Field(default=None, gt=0, le=1)
    kv_cache_gib: float | None = Field(default=None, gt=0)
    enable_prefix_caching: bool | None = None
    enforce_eager: bool | None = None
    speculative_config: dict[str, Any] | None = None
    engine_args: dict[str, Any] | None = Field(
        default=None, description="further AsyncEngineArgs of vLLM by their field names"
    )


class TritonConfig(UpstreamConfig):
    model_version: str | None = None
    transport: Literal["grpc", "http"] | None = None
    ready_when: Literal["model", "always"] | None = None
    prompt_template: str | None = None


class OpenAIConfig(UpstreamConfig):
    api: Literal["chat", "completions"] | None = None
    repetition_penalty_field: str | None = None
    max_tokens_field: str | None = None
    api_key_header: str | None = None
    top_logprobs: int | None = Field(default=None, ge=0, le=20)
    stream: bool | None = None
    store: Literal["omit", "false"] | None = None


class ClassifierConfig(EngineConfig):
    revision: str | None = None
    output: str | None = None
    activation: Literal["auto", "softmax", "sigmoid", "none"] | None = None
    min_box_score: float | None = Field(default=None, ge=0, le=1)
    device: Literal["auto", "cpu", "cuda"] | None = None
    threads: int | None = Field(default=None, ge=1)
    missing_values: bool | None = None
    max_batch_size: int | None = Field(default=None, ge=1)
    max_queue: int | None = Field(default=None, ge=1)


class SGLangConfig(EngineConfig):
    tp_size: int | None = Field(default=None, ge=1)
    pp_size: int | None = Field(default=None, ge=1)
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

    estimator: str | None = Field(
        default=None, pattern=r".+:\w+$", description="FILE.py:Class, or module:Class"
    )
    result: Literal["text", "boxes", "probabilities"] | None = None
    query_as: Literal["list", "text", "dict"] | None = None
    predict_parameters: str | None = None
    max_concurrency: int | None = Field(default=None, ge=1)
    max_queue: int | None = Field(default=None, ge=1)
    timeout: float | None = Field(default=None, gt=0)


class SednaWorkerConfig(UpstreamConfig):
    """An old big-model worker, asked by its own protocol."""

    result: Literal["text", "boxes", "probabilities"] | None = None
