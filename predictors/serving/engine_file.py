"""The file of `--engine_config`: options of the engine as YAML, such as a mounted ConfigMap has."""

from pathlib import Path

import yaml

from predictors.errors import ConfigurationError, known
from predictors.settings import EngineSettings, SettingsFile
from predictors.strict_yaml import StrictLoader, what_is_wrong


def read_engine_file(path: str, settings: type[EngineSettings]) -> SettingsFile | None:
    """None for no path. Raises ConfigurationError, one line with the file and what is wrong: it
    can't be read, is no YAML, or has an option that the engine doesn't."""
    if not path:
        return None
    told = f"--engine_config {path}"
    try:
        content = yaml.load(Path(path).read_text(encoding="utf-8"), Loader=StrictLoader)
    except OSError as error:
        raise ConfigurationError(f"{told}: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{told}: not UTF-8 text ({error.reason})") from None
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{told}{what_is_wrong(error)}") from None
    if content is None:
        return None
    if not isinstance(content, dict):
        raise ConfigurationError(f"{told}: is no mapping of option: value")
    for name in content:
        if name not in settings.model_fields:
            raise ConfigurationError(
                f"{told}: the engine has no option {name!r}; {known(name, settings.model_fields)}"
            )
    return SettingsFile(path, content)
