"""Engines by name. A new engine is one file here and one line in this table."""

from predictors.engines.base import Engine
from predictors.errors import ConfigurationError
from predictors.registry import PluginRegistry
from predictors.settings import EngineSettings


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


ENGINES = EngineRegistry(
    "engine",
    {
        "classifier": "predictors.engines.classifier:ClassifierEngine",
        "huggingface": "predictors.engines.huggingface:HuggingFaceEngine",
        "kserve": "predictors.engines.kserve:KServeEngine",
        "openai_api": "predictors.engines.openai_api:OpenAIAPIEngine",
        "recorded": "predictors.engines.recorded:RecordedEngine",
        "triton": "predictors.engines.triton:TritonEngine",
        "vllm": "predictors.engines.vllm.engine:VLLMEngine",
    },
)
