"""An engine's configuration block, as the options and variables of what serves it."""

from typing import Any

from inferencegraph.spec.engines import BY_ENVIRONMENT, EngineConfig
from inferencegraph.spec.service import Spec, Worker


def config_block(worker: Worker, spec: Spec, engine: str) -> EngineConfig | None:
    """The engine's own block, of the worker or of both sides."""
    own = worker.inference_config.block(engine) if worker.inference_config else None
    return own or spec.inference_config.block(engine)


def arguments_of(block: EngineConfig | None) -> tuple[str, ...]:
    """The block as options of our predictor."""
    if block is None:
        return ()
    options = (f"--{name}={option(value)}" for name, value in _fields(block).items())
    return (*options, *block.extra_args)


def server_arguments_of(block: EngineConfig | None, engine: str) -> tuple[str, ...]:
    """The block as options of an engine's own server, which stands beside our predictor."""
    if block is None:
        return ()
    fields = {} if engine in BY_ENVIRONMENT else _fields(block)
    options = (f"--{name.replace('_', '-')}={option(value)}" for name, value in fields.items())
    return (*options, *block.extra_args)


def server_environment_of(block: EngineConfig | None, engine: str) -> dict[str, str]:
    """The block as variables, for the servers that take theirs so."""
    prefix = BY_ENVIRONMENT.get(engine)
    if block is None or prefix is None:
        return {}
    return {f"{prefix}{name.upper()}": option(value) for name, value in _fields(block).items()}


def _fields(block: EngineConfig) -> dict[str, Any]:
    return block.model_dump(exclude_none=True, exclude={"extra_args"})


def option(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
