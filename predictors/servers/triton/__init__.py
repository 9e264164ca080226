"""A Triton model of ours, and model repositories made of it.

causal_lm     the model: Triton's Python backend runs it on any Hugging Face directory, also without
              a GPU; it takes and gives what Triton's vLLM backend does
repository    writes a repository of such models
__main__      the same as a command
serve         the command of the image: writes a repository of one model and becomes tritonserver
"""
