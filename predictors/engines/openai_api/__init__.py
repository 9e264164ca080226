"""Any OpenAI-compatible endpoint: OpenAI, vLLM, SGLang, LMDeploy, Ollama, llama.cpp's server."""

from predictors.engines.openai_api.engine import OpenAIAPIEngine
from predictors.engines.openai_api.settings import OpenAIAPISettings

__all__ = ["OpenAIAPIEngine", "OpenAIAPISettings"]
