"""KernelRouter: kernel logistic regression on the middle layers of an encoder that isn't trained.

- score.py    the Algorithm; kernel.safetensors beside the encoder
- learner.py  what `hem train` runs
- scaling.py  how far apart a side's sums lie, where sides are seen of different rows
"""
