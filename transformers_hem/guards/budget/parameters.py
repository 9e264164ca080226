"""What may be spent, in which window, and for whom."""

from collections.abc import Mapping
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from transformers_hem.guards.base import GuardParameters
from transformers_hem.guards.windows import Window


class BudgetParameters(GuardParameters):
    """`money` (in the price file's currency), `tokens` and `requests` are what may be spent in any
    `window`: 90s, 5m, 1h, 30d; `counted` says which tokens. `per`: all together, or each client.

    `state`: the file that remembers it. `prices`: the price file, `model`: the cloud's model, where
    a request does not tell it; by HEM_PRICES_FILE and HEM_CLOUD_MODEL if not given. `hard`: what
    the caller forces to the cloud is refused, too (429), where it would otherwise only be counted.
    """

    of_settings: ClassVar[Mapping[str, str]] = {"prices": "prices_file", "model": "cloud_model"}
    files: ClassVar[frozenset[str]] = frozenset({"prices"})

    state: str = Field(min_length=1)
    window: Window = 86_400.0
    money: float | None = Field(default=None, gt=0)
    tokens: int | None = Field(default=None, gt=0)
    requests: int | None = Field(default=None, gt=0)
    counted: Literal["input", "output", "both"] = "both"
    per: Literal["all", "client"] = "all"
    prices: str = ""
    model: str = ""
    hard: bool = False

    @model_validator(mode="after")
    def _limited(self) -> Self:
        if self.money is None and self.tokens is None and self.requests is None:
            raise ValueError("needs what may be spent: money, tokens or requests")
        if self.money is not None and not self.prices:
            raise ValueError("money needs prices, a price file, or HEM_PRICES_FILE")
        return self
