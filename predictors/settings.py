"""Settings: declared once with pydantic, read from command-line options, else the environment."""

import argparse
import math
import re
from collections.abc import Mapping
from typing import Any, Final, TypeVar

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings

from predictors.engines.base import EngineSettings
from predictors.errors import ConfigurationError, InvalidRequest
from predictors.protocol import Sampling, parse_sampling

S = TypeVar("S", bound=BaseSettings)

PASSWORD: Final = re.compile(r"//[^/@\s]*@")  # in a URL

DEFAULT_MAX_BODY_BYTES = 8 * 1024 * 1024


class PredictorSettings(EngineSettings):
    """What every predictor has, whichever its engine."""

    model_name: str = Field("model", min_length=1, description="name in the V2 path")
    engine: str = Field("huggingface", description="engine that answers, or module:Class")
    max_body_bytes: int = Field(
        DEFAULT_MAX_BODY_BYTES, gt=0, description="largest request body in bytes; above it: 413"
    )
    max_tokens: str = Field("512", description="most tokens of an answer")
    temperature: str = Field("0.8", description="0 (greedy) to 2")
    top_p: str = Field("0.8", description="nucleus: share of probability to sample from")
    repetition_penalty: str = Field("1.05", description="1 = none")
    stop: str = Field("", description="string that ends an answer, or a JSON array of them")
    seed: str = Field("", description="seed of sampling; none where absent")

    def sampling(self) -> Sampling:
        """The defaults of requests that don't say; checked by the contract's own parser."""
        given: Mapping[str, str] = {
            name: value
            for name in Sampling.__dataclass_fields__
            if (value := getattr(self, name)) != ""
        }
        try:
            return parse_sampling(given, Sampling())
        except InvalidRequest as error:
            raise ConfigurationError(str(error)) from error


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


def read_settings(settings: type[S], options: Mapping[str, Any]) -> S:
    """Builds the settings from options that were given, the environment, then defaults.

    Raises ConfigurationError: one line with the name, the value and what is wrong.
    """
    given = {name: options[name] for name in settings.model_fields if name in options}
    try:
        return settings(**given)
    except ValidationError as error:
        raise ConfigurationError(_first_fault(error)) from None


def _first_fault(error: ValidationError) -> str:
    fault = error.errors(include_url=False)[0]
    name = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "missing":
        return f"--{name} is required"
    value = fault["input"]
    shown = "NaN" if isinstance(value, float) and math.isnan(value) else repr(value)
    return f"--{name} {PASSWORD.sub('//***@', shown)}: {fault['msg']}"
