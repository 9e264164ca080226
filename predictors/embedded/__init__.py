"""The small models that ship with the project, in two pairs that answer different questions: short
answers by `embedded:edge` and `embedded:cloud`, long ones, worked out step by step, by
`embedded:long-edge` and `embedded:long-cloud`.

edge/, cloud/             the short pair, as Hugging Face directories
long-edge/, long-cloud/   the long pair
data/                     test questions, and labels that routers are trained on
README.md                 the card: what they answer, accuracy, how to make them again
workshop/                 what made them; not installed
"""

from pathlib import Path

from predictors.errors import ConfigurationError, known

PREFIX = "embedded:"
PAIRS = {"short": ("edge", "cloud"), "long": ("long-edge", "long-cloud")}
MODELS = tuple(name for pair in PAIRS.values() for name in pair)
# Rows {id, family, difficulty, query, answer}, held out of all training: 1,500 and 400.
TEST_QUESTIONS = Path(__file__).parent / "data" / "test.jsonl"
LONG_TEST_QUESTIONS = Path(__file__).parent / "data" / "long_test.jsonl.gz"


def directory(name: str) -> Path:
    """The Hugging Face directory of a shipped model; `edge` and `embedded:edge` are the same."""
    model = name.removeprefix(PREFIX)
    if model not in MODELS:
        hint = known(name, (PREFIX + each for each in MODELS))
        raise ConfigurationError(f"unknown embedded model {name!r}; {hint}")
    return Path(__file__).parent / model
