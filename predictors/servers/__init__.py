"""Model servers that ship in images of their own, for engines that ask a server.

triton/    Triton with a model of ours that runs any Hugging Face directory
openai/    vLLM's own OpenAI-compatible server

A launcher finds the model, and then becomes the server: options that it doesn't know are the
server's own. Triton's image has nothing but our files: what triton/ imports must be in the standard
library or here.
"""
