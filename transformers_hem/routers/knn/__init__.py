"""KNNRouter: the mean difficulty of the nearest labelled queries.

- score.py    the Algorithm; neighbours.safetensors beside the encoder
- learner.py  what `hem train` runs: embeds the labelled queries, chooses k and temperature
"""
