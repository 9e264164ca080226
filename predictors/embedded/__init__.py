"""The small pair of models that ships with the project: `embedded:edge` and `embedded:cloud`.

edge/, cloud/   the models, as Hugging Face directories
data/           test questions, and labels that routers are trained on
README.md       the card: what they answer, accuracy, how to make them again
workshop/       what made them; not installed
"""

from pathlib import Path

from predictors.errors import ConfigurationError, known

PREFIX = "embedded:"
MODELS = ("edge", "cloud")
# 1,500 rows {id, family, difficulty, query, answer}, held out of both models' training.
TEST_QUESTIONS = Path(__file__).parent / "data" / "test.jsonl"


def directory(name: str) -> Path:
    """The Hugging Face directory of a shipped model; `edge` and `embedded:edge` are the same."""
    model = name.removeprefix(PREFIX)
    if model not in MODELS:
        hint = known(name, (PREFIX + each for each in MODELS))
        raise ConfigurationError(f"unknown embedded model {name!r}; {hint}")
    return Path(__file__).parent / model
