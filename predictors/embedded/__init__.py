"""The small pair of models that ships with the project: `embedded:edge` and `embedded:cloud`."""

from __future__ import annotations

from pathlib import Path

from predictors.errors import ConfigurationError

PREFIX = "embedded:"
MODELS = ("edge", "cloud")
# 1,500 rows {id, family, difficulty, query, answer}, held out of both models' training.
TEST_QUESTIONS = Path(__file__).parent / "data" / "test.jsonl"


def directory(name: str) -> Path:
    """The Hugging Face directory of a shipped model; `edge` and `embedded:edge` are the same."""
    model = name.removeprefix(PREFIX)
    if model not in MODELS:
        known = ", ".join(PREFIX + known for known in MODELS)
        raise ConfigurationError(f"unknown embedded model {name!r}; known: {known}")
    return Path(__file__).parent / model
