"""Engines by name: what answers behind the predictor.

base          the seam: Engine, TextEngine, TensorEngine
checkpoint    finds a model's directory and checks that it is whole
prompt        a query's text -> the tokens of a prompt that fits the model
side_by_side  the rows of one request, answered beside those of others
classifier/   discriminative models: ONNX, torch, Hugging Face
huggingface/  models of transformers that generate, in this process
vllm/         models that vLLM runs, in processes of its own
recorded/     answers from a file
speculative/  a small model here drafts, a large one elsewhere checks
sedna/        Estimator classes written for Sedna's SDK, and its big-model workers
openai_api/, kserve/, triton/   other servers

A new engine is one folder here and one line in this table.
"""

from predictors.engines.base import Engine
from predictors.errors import ConfigurationError
from predictors.registry import PluginRegistry
from predictors.settings import EngineSettings


class EngineRegistry(PluginRegistry[Engine]):
    """A name with a colon is the path of a class: `--engine my_engine:Shouting`."""

    group = "kserve_hem.engines"
    base = Engine

    def load(self, name: str) -> type[Engine]:
        return self.load_own(name, f"--engine {name!r}") if ":" in name else super().load(name)

    def load_own(self, path: str, source: str) -> type[Engine]:
        engine = super().load_own(path, source)
        settings = engine.Settings
        if not isinstance(settings, type) or not issubclass(settings, EngineSettings):
            raise ConfigurationError(
                f"{source}: its Settings are {settings!r}, not a subclass of EngineSettings"
            )
        return engine


ENGINES = EngineRegistry(
    "engine",
    {
        "classifier": "predictors.engines.classifier:ClassifierEngine",
        "huggingface": "predictors.engines.huggingface:HuggingFaceEngine",
        "kserve": "predictors.engines.kserve:KServeEngine",
        "openai_api": "predictors.engines.openai_api:OpenAIAPIEngine",
        "recorded": "predictors.engines.recorded:RecordedEngine",
        "sedna": "predictors.engines.sedna:SednaEngine",
        "sedna_worker": "predictors.engines.sedna.worker:SednaWorkerEngine",
        "speculative": "predictors.engines.speculative:SpeculativeEngine",
        "triton": "predictors.engines.triton:TritonEngine",
        "vllm": "predictors.engines.vllm.engine:VLLMEngine",
    },
)
