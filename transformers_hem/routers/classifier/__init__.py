"""BERTRouter and LLMRouter: an encoder or a causal model with a classification head.

- score.py      both Algorithms, and which of a model's labels means hard
- learner.py    what `hem train` runs: rows set apart, a new head, int8 compared with float32
- fine_tune.py  the training itself, by transformers.Trainer; imported when it begins
"""
