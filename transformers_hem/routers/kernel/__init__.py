"""KernelRouter: kernel logistic regression on the middle layers of an encoder that isn't trained.

- score.py    the Algorithm; kernel.safetensors beside the encoder
- learner.py  what `hem train` runs
"""
