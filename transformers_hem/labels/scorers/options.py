"""From a scorer's name and its options, strings as a command line gives them, to the scorer."""

from collections.abc import Sequence

from pydantic import ValidationError

from predictors.errors import ConfigurationError, first_fault, known
from predictors.upstream.redaction import shown_value
from transformers_hem.labels.question import Question
from transformers_hem.labels.scorers import SCORERS
from transformers_hem.labels.scorers.base import Scorer


def make_scorer(name: str, options: Sequence[str]) -> Scorer:
    """`options` are "name=value". Raises ConfigurationError: one line that names the option."""
    kind = SCORERS.load(name)
    values = dict(_split(option) for option in options)
    for option in values:
        if option not in kind.Options.model_fields:
            way_out = known(option, kind.Options.model_fields)
            raise ConfigurationError(f"{name} has no option {option!r}; {way_out}")
    try:
        return kind(kind.Options.model_validate(values))
    except ValidationError as error:
        option, fault, value = first_fault(error)
        if option not in values:
            raise ConfigurationError(f"{name} needs --option {option}=...") from None
        shown = shown_value(option, value)
        raise ConfigurationError(f"{name}: option {option} can't be {shown!r}: {fault}") from None


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
