"""HEM_SETTINGS_FILE: settings that may change while the server runs, as YAML or JSON.

threshold: 0.4
guards:
  - name: PrivacyGuard
    parameters: {words: /etc/hem/words}

Names are those of HEM_* without HEM_, in small letters.
"""

from pathlib import Path
from typing import Any, Final

import orjson
import yaml
from pydantic import ValidationError

from predictors.errors import ConfigurationError, first_fault, known
from predictors.strict_yaml import StrictLoader, what_is_wrong
from transformers_hem.serving.settings import HEMSettings

# What a running server can take up. The others are of its connections, or of what it remembers.
MAY_CHANGE: Final = (
    "algorithm",
    "parameters",
    "router",
    "threshold",
    "guards",
    "batch_policy",
    "scored_characters",
)
_TEXTS: Final = ("parameters", "guards")  # JSON, in the environment


def with_file(settings: HEMSettings) -> HEMSettings:
    """`settings` of the environment, with those of the file that it names. Raises
    ConfigurationError where the file is wrong, and where a setting stands in both."""
    if not settings.settings_file:
        return settings
    path = Path(settings.settings_file)
    values = _read(path)
    for name in values:
        if name not in MAY_CHANGE:
            way_out = known(name, MAY_CHANGE)
            raise ConfigurationError(f"{path}: {name}: can't be set here; {way_out}")
        if name in settings.model_fields_set:
            raise ConfigurationError(
                f"{path}: {name}: HEM_{name.upper()} is set in the environment, too; set it in one "
                "of both"
            )
    chosen = {_argument(name): getattr(settings, name) for name in settings.model_fields_set}
    try:
        return HEMSettings(**{**chosen, **values})
    except ValidationError as error:
        field, message, value = first_fault(error)
        raise ConfigurationError(f"{path}: {field}: {message}, not {value!r:.80}") from None


def _argument(field: str) -> str:
    alias = HEMSettings.model_fields[field].validation_alias
    return alias if isinstance(alias, str) else field


def _read(path: Path) -> dict[str, Any]:
    try:
        content = yaml.load(path.read_text(encoding="utf-8-sig"), Loader=StrictLoader)
    except OSError as error:
        raise ConfigurationError(
            f"HEM_SETTINGS_FILE {path} can't be read: {error.strerror or error}"
        ) from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"HEM_SETTINGS_FILE {path} is not UTF-8 text") from None
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{path}{what_is_wrong(error)}") from None
    if content is None:
        return {}
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        raise ConfigurationError(f"{path}: must be names of settings and their values")
    return {name: _as_text(name, value) for name, value in content.items() if value is not None}


def _as_text(name: str, value: Any) -> Any:
    """As the environment has it: lists and objects are JSON there."""
    if name in _TEXTS and not isinstance(value, str):
        return orjson.dumps(value, default=str).decode()
    return value
