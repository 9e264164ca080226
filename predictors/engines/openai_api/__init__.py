"""Any OpenAI-compatible endpoint: OpenAI, vLLM, SGLang, LMDeploy, Ollama, llama.cpp's server.

settings   where it is, its key, its dialect
engine     one call per row; bodies and streams are predictors.upstream.openai's
"""

from predictors.engines.openai_api.engine import OpenAIAPIEngine
from predictors.engines.openai_api.settings import OpenAIAPISettings

__all__ = ["OpenAIAPIEngine", "OpenAIAPISettings"]
