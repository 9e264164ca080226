"""A Triton model of ours, and model repositories made of it.

Triton's Python backend runs `causal_lm` on any Hugging Face directory, also without a GPU; it takes
and gives what Triton's vLLM backend does.
"""
