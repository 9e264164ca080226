"""What tokens cost: the price file, which all figures of cost are made with.

currency: USD
models:
  gpt-4o-mini: {input: 0.15, output: 0.6, cached_input: 0.075}   # per million tokens
"""

from pathlib import Path
from typing import Annotated, ClassVar, Final

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from predictors.contract.usage import Usage
from predictors.errors import ConfigurationError, first_fault
from predictors.strict_yaml import StrictLoader, what_is_wrong

PER: Final = 1_000_000  # tokens
DIGITS: Final = 12  # of a cost behind its point: floats are no more exact than that

Amount = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]


class Price(BaseModel):
    """Of one model, for a million tokens. `cached_input` is that of prompt tokens which the server
    kept from another call; None: as any input."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid")

    input: Amount
    output: Amount
    cached_input: Amount | None = None

    def cost(self, usage: Usage) -> float:
        cached = self.input if self.cached_input is None else self.cached_input
        amount = (
            (usage.prompt_tokens - usage.cached_tokens) * self.input
            + usage.cached_tokens * cached
            + usage.completion_tokens * self.output
        )
        return round(amount / PER, DIGITS)


class Prices(BaseModel):
    """`currency` is a code of ISO 4217, `models` are prices by the models' names."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid")

    currency: Annotated[str, Field(strict=True, pattern="^[A-Z]{3}$")]
    models: Annotated[dict[str, Price], Field(min_length=1)]

    def cost(self, usage: Usage, *names: str) -> float | None:
        """By the first of the model's `names` that has a price; None where none has."""
        for name in names:
            if price := self.models.get(name):
                return price.cost(usage)
        return None


def read_prices(path: Path) -> Prices:
    """A file of YAML or JSON. Raises ConfigurationError that names the file and what is wrong."""
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=StrictLoader)
        return Prices.model_validate(content)
    except OSError as error:
        raise ConfigurationError(f"{path} can't be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: not UTF-8 text ({error.reason})") from None
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{path}{what_is_wrong(error)}") from None
    except ValidationError as error:
        where, message, value = first_fault(error)
        shown = "" if message == "is required" else f", not {value!r:.80}"
        raise ConfigurationError(f"{path}: {where or 'prices'}: {message}{shown}") from None
