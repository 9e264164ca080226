"""Any OpenAI-compatible endpoint: OpenAI, vLLM, SGLang, LMDeploy, Ollama, llama.cpp's server.

engine   the settings and the engine; bodies and streams are predictors.upstream.openai's
"""

from predictors.engines.openai_api.engine import OpenAIAPIEngine, OpenAIAPISettings

__all__ = ["OpenAIAPIEngine", "OpenAIAPISettings"]
