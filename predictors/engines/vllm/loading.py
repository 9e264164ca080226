"""From settings to a started vLLM, or one clear error."""

import dataclasses
import os
from pathlib import Path
from typing import Any

from predictors.engines.checkpoint import EMBEDDED, PACKAGE, check, resolve
from predictors.engines.vllm.failures import Failures
from predictors.engines.vllm.settings import CPU_KV_CACHE_GIB, VLLMSettings
from predictors.errors import ConfigurationError, known

# Read by vLLM when it is imported; what the user has set stays.
_ENVIRONMENT = {
    # Its processes are started from one that has threads and open gRPC channels: no fork.
    "VLLM_WORKER_MULTIPROC_METHOD": "spawn",
    # A predictor calls no server that its settings don't name.
    "VLLM_NO_USAGE_STATS": "1",
}
for _name, _value in _ENVIRONMENT.items():
    os.environ.setdefault(_name, _value)
if "OMP_NUM_THREADS" in os.environ:
    # Else vLLM binds its threads to cores by number, and two predictors of one machine to the same.
    os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")

from vllm import AsyncEngineArgs  # noqa: E402
from vllm.config import StructuredOutputsConfig  # noqa: E402
from vllm.config.logging import LoggingConfig  # noqa: E402
from vllm.logger import DEFAULT_LOGGING_CONFIG  # noqa: E402
from vllm.platforms import current_platform  # noqa: E402
from vllm.v1.engine.async_llm import AsyncLLM  # noqa: E402

GIB = 1 << 30
# Settings of ours that are fields of vLLM's by the same name; None leaves the choice to vLLM.
SAME_NAME = (
    "trust_remote_code",
    "quantization",
    "max_model_len",
    "max_num_seqs",
    "tensor_parallel_size",
    "pipeline_parallel_size",
    "gpu_memory_utilization",
    "enable_prefix_caching",
    "enforce_eager",
)
# vLLM's choice is that of the first query that asks for JSON, while each later schema is checked by
# the library that suits it best: one that says yes to what the chosen one ignores.
STRUCTURED_OUTPUTS = "xgrammar"
ZEROING = "predictors.engines.vllm.scheduling.ZeroingScheduler"
SHIPPED = (EMBEDDED, PACKAGE)
OURS = {*SAME_NAME, "model", "revision", "dtype", "device_ids", "speculative_config", "runner"}


def load(settings: VLLMSettings, failures: Failures) -> AsyncLLM:
    """Blocks until the model is loaded. Raises ConfigurationError."""
    path = resolve(settings.model_dir, settings.revision)
    check(path)
    try:
        return AsyncLLM.from_engine_args(_arguments(settings, path, failures))
    except ConfigurationError:
        raise
    except Exception as error:  # vLLM raises whatever its parts do
        raise ConfigurationError(
            f"model_dir {settings.model_dir}: vLLM can't run it: {failures.cause(error)}"
        ) from error


def _arguments(settings: VLLMSettings, path: Path, failures: Failures) -> AsyncEngineArgs:
    _check_names(settings.engine_args)
    same = {name: getattr(settings, name) for name in SAME_NAME}
    arguments: dict[str, Any] = {
        "model": str(path),
        "runner": "generate",
        "dtype": _dtype(settings.dtype),
        "kv_cache_memory_bytes": _kv_cache_bytes(settings.kv_cache_gib),
        # Not among SAME_NAME: engine_args may say it as well, as it did before it had an option.
        "data_parallel_size": settings.data_parallel_size,
        "device_ids": settings.device_ids or None,
        "speculative_config": _speculative(settings),
        "scheduler_cls": ZEROING if current_platform.is_cpu() else None,
        "structured_outputs_config": StructuredOutputsConfig(backend=STRUCTURED_OUTPUTS),
        **{name: value for name, value in same.items() if value is not None},
        **settings.engine_args,
    }
    if "logging_config" not in arguments and not os.environ.get("VLLM_LOGGING_CONFIG_PATH"):
        config = failures.logging_config(DEFAULT_LOGGING_CONFIG)
        arguments["logging_config"] = LoggingConfig(pylogging_config_file=str(config))
    return AsyncEngineArgs(**arguments)


def _speculative(settings: VLLMSettings) -> dict[str, Any] | None:
    """A shipped model that drafts is found as `model_dir` is; of all else vLLM takes care."""
    config = dict(settings.speculative_config)
    if isinstance(given := config.get("model"), str) and given.startswith(SHIPPED):
        path = resolve(given, None)
        check(path)
        config["model"] = str(path)
    return config or None


def _check_names(engine_args: dict[str, Any]) -> None:
    fields = [field.name for field in dataclasses.fields(AsyncEngineArgs) if field.init]
    for name in engine_args:
        if name in OURS:
            raise ConfigurationError(
                f"--engine_args {name!r} has an option of its own: {_own(name)}"
            )
        if name not in fields or name.startswith("_"):
            raise ConfigurationError(
                f"--engine_args {name!r} is not a field of AsyncEngineArgs; "
                f"{known(name, fields, brief=True)}"
            )


def _own(name: str) -> str:
    return {"model": "--model_dir", "runner": "this engine only generates"}.get(name, f"--{name}")


def _dtype(dtype: str) -> str:
    """As with the huggingface engine: on the CPU float32, which gives the same answers; vLLM
    would halve float32 weights everywhere."""
    return "float32" if dtype == "auto" and current_platform.is_cpu() else dtype


def _kv_cache_bytes(gib: float | None) -> int | None:
    """On the CPU vLLM would take nearly all memory; VLLM_CPU_KVCACHE_SPACE wins there."""
    if gib is None and current_platform.is_cpu():
        gib = CPU_KV_CACHE_GIB
    return None if gib is None else int(gib * GIB)
