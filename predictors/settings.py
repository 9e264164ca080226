"""Settings: declared once with pydantic, read from command-line options, else the environment,
else a file."""

import argparse
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, get_args

from pydantic import SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from predictors.errors import ConfigurationError, first_fault
from predictors.upstream.redaction import shown_value

logger = logging.getLogger("kserve.hem")

S = TypeVar("S", bound=BaseSettings)


class EngineSettings(BaseSettings):
    """Options of one engine: from `--field` of `python -m predictors`, else `PREDICTOR_FIELD`.

    A subclass adds its fields with `Field(description=...)`; `--help` shows the description.
    """

    model_config = SettingsConfigDict(
        env_prefix="PREDICTOR_",
        frozen=True,
        extra="ignore",
        protected_namespaces=(),
        env_ignore_empty=True,
    )


def add_options(parser: argparse.ArgumentParser, settings: type[BaseSettings]) -> None:
    """One `--field` per field that the parser does not have yet."""
    taken = {option for action in parser._actions for option in action.option_strings}
    prefix = settings.model_config.get("env_prefix", "")
    group = parser.add_argument_group(settings.__name__)
    for name, field in settings.model_fields.items():
        if f"--{name}" in taken:
            continue
        default = "" if field.is_required() or field.default in (None, "") else field.default
        suffix = f" (default: {default})" if default != "" else ""
        group.add_argument(
            f"--{name}",
            default=argparse.SUPPRESS,
            metavar=name.upper(),
            help=f"{field.description}{suffix}; env {prefix}{name.upper()}".replace("%", "%%"),
        )


def warn_of_secrets(options: Mapping[str, Any], *settings: type[BaseSettings]) -> None:
    """Where an option of the command line holds one: everybody on this machine can read it there.
    `options` are those that were given."""
    for kind in settings:
        prefix = kind.model_config.get("env_prefix", "")
        for name, field in kind.model_fields.items():
            if name in options and _is_secret(field.annotation):
                logger.warning(
                    "--%s is a secret, and everybody on this machine can read the arguments of a "
                    "process: give it as %s%s in the environment, or by a file",
                    name,
                    prefix,
                    name.upper(),
                )


def _is_secret(annotation: Any) -> bool:
    return SecretStr in (annotation, *get_args(annotation))


@dataclass(frozen=True, slots=True)
class SettingsFile:
    """Settings by name, from the file at `path`."""

    path: str
    values: Mapping[str, Any]


def read_settings(
    settings: type[S], options: Mapping[str, Any], file: SettingsFile | None = None
) -> S:
    """Builds the settings from the command line's options, then the environment, then the file,
    then defaults.

    Raises ConfigurationError: one line with the name, the value and what is wrong.
    """
    chosen = {name: options[name] for name in settings.model_fields if name in options}
    filed = _unsaid(settings, chosen, file)
    try:
        return settings(**chosen, **filed)
    except ValidationError as error:
        name, message, value = first_fault(error)
        shown = "" if message == "is required" else f"{shown_value(name, value)!r}: "
        option = f"--{name}"
        if file is not None and name.partition(".")[0] in filed:
            option = f"--engine_config {file.path}: {name}"
        raise ConfigurationError(f"{option} {shown}{message}") from None


def _unsaid(
    settings: type[BaseSettings], chosen: Mapping[str, Any], file: SettingsFile | None
) -> dict[str, Any]:
    """What the file says of settings that neither the options nor the environment say."""
    prefix = settings.model_config.get("env_prefix", "")
    return {
        name: value
        for name, value in (file.values if file else {}).items()
        if name not in chosen and not os.environ.get(f"{prefix}{name.upper()}")
    }
