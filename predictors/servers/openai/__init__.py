"""vLLM's own OpenAI-compatible server with the models and the defaults of the engine vllm.

__main__    the command of the image
"""
