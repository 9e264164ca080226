"""From a scorer's name and its options, strings as a command line gives them, to the scorer."""

import difflib
from collections.abc import Sequence

from pydantic import ValidationError

from predictors.errors import ConfigurationError
from transformers_hem.labels.question import Question
from transformers_hem.labels.scorers import SCORERS
from transformers_hem.labels.scorers.base import Scorer


def make_scorer(name: str, options: Sequence[str]) -> Scorer:
    """`options` are "name=value". Raises ConfigurationError: one line that names the option."""
    kind = SCORERS.load(name)
    values = dict(_split(option) for option in options)
    known = sorted(kind.Options.model_fields)
    for given in values:
        if given not in known:
            near = difflib.get_close_matches(given, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            told = ", ".join(known) or "none"
            raise ConfigurationError(f"{name} has no option {given!r}; known: {told}{hint}")
    try:
        return kind(kind.Options.model_validate(values))
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][0])
        if first["type"] == "missing":
            raise ConfigurationError(f"{name} needs --option {key}=...") from None
        raise ConfigurationError(
            f"{name}: option {key} can't be {values.get(key)!r}: {first['msg']}"
        ) from None


def require_scorable(scorer: Scorer, name: str, questions: Sequence[Question]) -> None:
    """Raises ConfigurationError for the first question that the scorer can't judge."""
    for question in questions:
        if scorer.needs_reference and not question.references:
            raise ConfigurationError(f"{question.where}: no reference, and {name} needs one")
        try:
            scorer.check(question)
        except ValueError as error:
            raise ConfigurationError(f"{question.where}: {name}: {error}") from None


def _split(option: str) -> tuple[str, str]:
    name, equals, value = option.partition("=")
    if not equals or not name.strip():
        raise ConfigurationError(f"--option {option!r} must be name=value")
    return name.strip(), value
