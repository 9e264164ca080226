"""Engines by name. A new engine is one file here and one line in this table."""

from predictors.engines.base import Engine
from predictors.registry import Registry

ENGINES: Registry[Engine] = Registry(
    "engine",
    {
        "classifier": "predictors.engines.classifier:ClassifierEngine",
        "huggingface": "predictors.engines.huggingface:HuggingFaceEngine",
        "kserve": "predictors.engines.kserve:KServeEngine",
        "openai_api": "predictors.engines.openai_api:OpenAIAPIEngine",
        "triton": "predictors.engines.triton:TritonEngine",
        "recorded": "predictors.engines.recorded:RecordedEngine",
        "vllm": "predictors.engines.vllm.engine:VLLMEngine",
    },
)
