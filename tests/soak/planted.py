"""Private items whose last digits are right, each another one, as people write them."""

import base64
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from faker import Faker

from tests.transformers_hem.guards.privacy.corpus import grouped, iban, national_id

# Whose ids have check digits.
_LANGUAGES: Final = ("es_ES", "pt_BR", "de_DE", "ja_JP", "it_IT", "fr_FR", "zh_CN")
_SIGNS: Final = re.compile(r"[^0-9A-Za-z]+")


@dataclass(frozen=True)
class Planted:
    """`item` as it was made, `written` as it stands in a text: so, or in base64."""

    kind: str
    item: str
    written: str

    @property
    def traces(self) -> tuple[str, ...]:
        """What is found of it where it is, in texts that are `compact`."""
        return tuple({compact(self.item), compact(self.written)})


def compact(text: str) -> str:
    """Without what stands between groups, and in one case."""
    return _SIGNS.sub("", text).upper()


def planted(seed: int, encoded: float = 0.15) -> Iterator[Planted]:
    draw = random.Random(seed)
    fakes = {name: Faker(name) for name in _LANGUAGES}
    for fake in fakes.values():
        fake.seed_instance(seed)
    seen: set[str] = set()
    while True:
        name = draw.choice(_LANGUAGES)
        kind = draw.choice(("card", "iban", "national_id"))
        fake = fakes[name]
        if kind == "card":
            item = grouped(fake.credit_card_number(), draw)
        else:
            item = (iban if kind == "iban" else national_id)(fake, name, draw)
        if compact(item) in seen:
            continue
        seen.add(compact(item))
        written = item
        if draw.random() < encoded:
            written = base64.b64encode(f"it is {item}, noted".encode()).decode()
        yield Planted(kind, item, written)
