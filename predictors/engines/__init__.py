"""Engines by name. A new engine is one file here and one line in this table."""

from predictors.engines.registry import EngineRegistry

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
