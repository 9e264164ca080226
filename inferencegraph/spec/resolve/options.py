"""An engine's configuration block, as the file, the options and the variables of what serves it."""

from typing import Any

from inferencegraph.build.engine_file import EngineFile
from inferencegraph.build.engine_servers import takes_file
from inferencegraph.spec.blocks import EngineConfig
from inferencegraph.spec.engines import BLOCKS, BY_ENVIRONMENT, LACKING, SERVED_BESIDE
from inferencegraph.spec.faults import SpecFault
from inferencegraph.spec.service import Spec, Worker


def config_block(worker: Worker, spec: Spec, engine: str, field: str) -> EngineConfig | None:
    """The engine's own block, of the worker or of both sides. Raises SpecFault for a field that
    only another engine with that block has."""
    own = worker.inference_config.block(engine) if worker.inference_config else None
    block = own or spec.inference_config.block(engine)
    for name, mend in LACKING.get(engine, {}).items():
        if getattr(block, name, None) is not None:
            place = f"{field if own else 'spec'}.inferenceConfig"
            raise SpecFault(
                f"{place}.{written(BLOCKS[engine])}.{written(name)}",
                f"the engine {engine} has no such option; {mend}",
            )
    return block


def written(field: str | None) -> str:
    """A field's name as YAML has it."""
    first, *others = (field or "").split("_")
    return first + "".join(other.capitalize() for other in others)


def file_of(block: EngineConfig | None, engine: str, name: str) -> EngineFile | None:
    """The block as a file in the ConfigMap `name`; None where it is empty, or the engine reads no
    file."""
    values = _fields(block)
    if not values or not takes_file(engine):
        return None
    if engine in SERVED_BESIDE:
        values |= values.pop("engine_args", {})
        values = {name.replace("_", "-"): value for name, value in values.items()}
    return EngineFile(name, values)


def arguments_of(block: EngineConfig | None) -> tuple[str, ...]:
    """What the block has besides, as options of our predictor."""
    return block.extra_args if block else ()


def server_arguments_of(block: EngineConfig | None, engine: str) -> tuple[str, ...]:
    """The block as options of an engine's own server, which stands beside our predictor."""
    if block is None:
        return ()
    in_words = not takes_file(engine) and engine not in BY_ENVIRONMENT
    fields = _fields(block) if in_words else {}
    options = (f"--{name.replace('_', '-')}={option(value)}" for name, value in fields.items())
    return (*options, *block.extra_args)


def server_environment_of(block: EngineConfig | None, engine: str) -> dict[str, str]:
    """The block as variables, for the servers that take theirs so."""
    prefix = BY_ENVIRONMENT.get(engine)
    if prefix is None:
        return {}
    return {f"{prefix}{name.upper()}": option(value) for name, value in _fields(block).items()}


def _fields(block: EngineConfig | None) -> dict[str, Any]:
    return block.model_dump(exclude_none=True, exclude={"extra_args"}) if block else {}


def option(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
