"""The table of engines: lazy, with those of the user's own and of installed packages."""

from predictors.engines.base import Engine, EngineSettings
from predictors.errors import ConfigurationError
from predictors.plugins import PluginRegistry


class EngineRegistry(PluginRegistry[Engine]):
    """A name with a colon is the path of a class: `--engine my_engine:Shouting`."""

    group = "kserve_hem.engines"
    base = Engine

    def load(self, name: str) -> type[Engine]:
        if ":" in name:
            return self.load_own(name, f"--engine {name!r}")
        return super().load(name)

    def load_own(self, path: str, source: str) -> type[Engine]:
        found = super().load_own(path, source)
        settings = found.Settings
        if not isinstance(settings, type) or not issubclass(settings, EngineSettings):
            raise ConfigurationError(
                f"{source}: its Settings are {settings!r}, no subclass of EngineSettings"
            )
        return found
