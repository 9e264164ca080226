"""Which settings the servers of this project take, by container: their options and variables.

A predictor has options, each with a variable PREDICTOR_NAME; HEM has variables alone, HEM_NAME and
MINING_MODE. Whatever else a container runs is not known here.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal, get_args

import yaml
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from inferencegraph.check.containers import argument, environment
from predictors.cache import CacheSettings
from predictors.engines import ENGINES
from predictors.errors import ConfigurationError
from predictors.serving.command import command_line
from predictors.serving.settings import PredictorSettings
from transformers_hem.serving.settings import HEMSettings, environment_name

Kind = Literal["predictor", "hem", "other"]
Fields = Mapping[str, FieldInfo]
TextAt = Callable[[str], str | None]

PREFIX: Final = "PREDICTOR_"
MODULES: Final[Mapping[str, Kind]] = {"predictors": "predictor", "transformers_hem": "hem"}


def kind_of(container: Mapping[str, Any], entrypoint: Sequence[str]) -> Kind:
    """By the module that its command runs, or else `entrypoint`."""
    words = [str(word) for word in container.get("command") or entrypoint]
    module = words[words.index("-m") + 1] if "-m" in words[:-1] else ""
    return MODULES.get(module, "other")


def fields_of(kind: Kind, container: Mapping[str, Any]) -> Fields:
    """Option -> field. Empty for what is not ours; an engine that can't be loaded here brings none,
    and its own error comes when it starts."""
    if kind == "hem":
        return HEMSettings.model_fields
    if kind == "other":
        return {}
    engine = setting(kind, container, "engine") or PredictorSettings.model_fields["engine"].default
    try:
        own = ENGINES.load(engine).Settings.model_fields
    except ConfigurationError:
        own = {}
    return {**own, **CacheSettings.model_fields, **PredictorSettings.model_fields}


def kserve_options() -> set[str]:
    """Those of every server of ours beside its own. Imports kserve, which takes seconds."""
    with command_line([]):  # it reads them on import
        from kserve.model_server import parser

    return {name.removeprefix("--") for action in parser._actions for name in action.option_strings}


def variable_of(kind: Kind, option: str) -> str:
    return environment_name(option) if kind == "hem" else f"{PREFIX}{option.upper()}"


def option_of(kind: Kind, variable: str) -> str | None:
    """The option that a variable sets, whether or not there is such a one; None for variables of
    another kind of container."""
    if kind == "hem" and variable == environment_name("mining_mode"):
        return "mining_mode"
    prefix = {"hem": "HEM_", "predictor": PREFIX}.get(kind)
    if prefix is None or not variable.startswith(prefix):
        return None
    return variable.removeprefix(prefix).lower()


def filed(kind: Kind, container: Mapping[str, Any], text_at: TextAt) -> dict[str, str]:
    """What the file of --engine_config says, by option; `text_at(path)` is its text. Empty for what
    is no such file: its reader says so when it starts."""
    path = setting(kind, container, "engine_config") if kind == "predictor" else None
    try:
        content = yaml.safe_load(text_at(path) or "") if path else None
    except yaml.YAMLError:
        return {}
    values = content if isinstance(content, dict) else {}
    return {
        str(name): value if isinstance(value, str) else json.dumps(value)
        for name, value in values.items()
    }


def setting(kind: Kind, container: Mapping[str, Any], option: str) -> str | None:
    """What the manifest says of an option; None where it is silent."""
    said = argument(container, f"--{option}") if kind == "predictor" else None
    return environment(container, variable_of(kind, option)) if said is None else said


def is_secret(field: FieldInfo) -> bool:
    return SecretStr in (field.annotation, *get_args(field.annotation))
