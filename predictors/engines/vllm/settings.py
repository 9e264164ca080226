"""Options of the engine."""

import json
from typing import Annotated, Any, TypeAlias

from pydantic import BeforeValidator, Field
from pydantic_settings import NoDecode

from predictors.settings import EngineSettings

CPU_KV_CACHE_GIB = 1.0


def _parsed(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError as error:
        raise ValueError(f"is not JSON: {error}") from None


# NoDecode: from the environment, too, a value reaches our own parser and its one-line error.
JsonObject: TypeAlias = Annotated[dict[str, Any], NoDecode, BeforeValidator(_parsed)]
JsonArray: TypeAlias = Annotated[list[int | str], NoDecode, BeforeValidator(_parsed)]


class VLLMSettings(EngineSettings):
    """What most deployments set has a field here; `engine_args` reaches everything else."""

    model_dir: str = Field(
        description="directory in Hugging Face format, hub id, or a shipped one: embedded:edge, ..."
    )
    revision: str | None = Field(None, description="branch, tag or commit of a hub id")
    trust_remote_code: bool = Field(False, description="run code that comes with the model")
    dtype: str = Field(
        "auto", description="weights and computation; auto: vLLM's choice, float32 on the CPU"
    )
    quantization: str | None = Field(
        None, description="awq, gptq, fp8, bitsandbytes, ...; else what the checkpoint says"
    )
    max_model_len: int | None = Field(
        None, ge=2, description="tokens of prompt and answer together (default: the model's)"
    )
    max_num_seqs: int | None = Field(
        None, ge=1, description="queries generated at once; others wait (default: vLLM's)"
    )
    logprobs: bool = Field(
        True,
        description="log-probabilities and margins of the answers; false is a little faster, where "
        "nothing mines them",
    )
    tensor_parallel_size: int = Field(1, ge=1, description="GPUs that share each layer")
    pipeline_parallel_size: int = Field(1, ge=1, description="groups of GPUs that share the layers")
    data_parallel_size: int = Field(
        1, ge=1, description="copies of the model, each on GPUs of its own"
    )
    device_ids: JsonArray = Field(
        [],
        description="GPUs to use, [0, 1] of those that CUDA_VISIBLE_DEVICES or "
        "ROCR_VISIBLE_DEVICES leaves (default: the first ones)",
    )
    gpu_memory_utilization: float | None = Field(
        None, gt=0, le=1, description="share of a GPU's memory to take (default: vLLM's)"
    )
    kv_cache_gib: float | None = Field(
        None,
        gt=0,
        description="GiB of key-value cache per device, in place of gpu_memory_utilization "
        f"(default on the CPU: {CPU_KV_CACHE_GIB:g})",
    )
    enable_prefix_caching: bool | None = Field(
        None, description="keep prompts' beginnings for later queries (default: vLLM's)"
    )
    enforce_eager: bool = Field(False, description="compile nothing: starts sooner, runs slower")
    speculative_config: JsonObject = Field(
        {}, description='JSON, e.g. {"method": "ngram", "num_speculative_tokens": 4}'
    )
    engine_args: JsonObject = Field(
        {}, description="JSON of further AsyncEngineArgs of vLLM by their field names"
    )
