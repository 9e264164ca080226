"""LinearRouter: a linear model over hashed n-grams of the query.

- features.py  from a text to a sparse row of numbers, in training and in serving alike
- score.py     the Algorithm; config.json and weights.safetensors
- texts.py     many texts at once, each read once, in training
- learner.py   what `hem train` runs: the best of nine candidates by cross-validation

A change in features.py makes routers that are out there score otherwise: it needs a new `version`
in `LinearConfig`.
"""
