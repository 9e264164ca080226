"""Rows without what is private in them: found as PrivacyGuard finds it."""

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

from inferencegraph.evaluate.importing.report import LeftOut
from inferencegraph.evaluate.importing.rows import Row
from predictors.errors import ConfigurationError
from transformers_hem.algorithms.parameters import parse, read_parameters
from transformers_hem.guards import GUARDS
from transformers_hem.guards.placeholders import Placeholders, Written

Redact = Literal["drop", "hash", "placeholder"]

KEY: Final = "HEM_REDACT_KEY"
_LEAST_KEY: Final = 16  # characters
_DIGEST_BYTES: Final = 6
# Fields that are no text of anybody.
_NOT_READ: Final = ("scorer", "winner")


class _Hashes(Placeholders):
    """`<EMAIL_9F86D081AB12>`: the same in all rows. Of a secret `key`, as the few numbers of cards
    and phones that there are could be tried one by one otherwise."""

    def __init__(self, key: bytes) -> None:
        super().__init__()
        self._key = key

    def _name(self, item: str, word: str, taken: Callable[[str], frozenset[str]]) -> str:
        digest = hashlib.blake2b(item.encode(), digest_size=_DIGEST_BYTES, key=self._key)
        return f"{word}_{digest.hexdigest().upper()}"


class _Nothing(Placeholders):
    def of(self, item: str, written: Written = Written.TEXT) -> str:
        super().of(item, written)
        return ""


class RowRedactor:
    """Of one import. `kinds`: how many items of each there were. Raises ConfigurationError for bad
    `parameters`, which are those of PrivacyGuard, and a bad key in the environment."""

    def __init__(self, redact: Redact, parameters: str = "") -> None:
        _, values = read_parameters(parameters, "--redact-parameters")
        guard = GUARDS.load("PrivacyGuard")  # says which extra is missing
        from transformers_hem.guards.privacy.base import PrivacyParameters
        from transformers_hem.guards.privacy.detectors import Detectors

        known = parse("PrivacyGuard", guard, values)
        assert isinstance(known, PrivacyParameters)
        self._detectors = Detectors(known)
        key = _key() if redact == "hash" else b""
        makers: dict[Redact, Callable[[], Placeholders]] = {
            "drop": _Nothing,
            "hash": lambda: _Hashes(key),
            "placeholder": Placeholders,
        }
        self._make = makers[redact]
        self.kinds: Counter[str] = Counter()
        self.rows = 0

    def row(self, row: Row) -> Row:
        """Raises LeftOut where something private would stay in it."""
        texts = {n: v for n, v in row.items() if n not in _NOT_READ and _has_text(v)}
        placeholders = self._make()
        changed = self._redacted(texts, placeholders)
        if placeholders.kinds:
            self.kinds.update(placeholders.kinds)
            self.rows += 1
        return {**row, **changed}

    def text(self, text: str) -> str:
        """For what is told of the import."""
        try:
            return str(self._redacted({"text": text}, self._make()).get("text", text))
        except LeftOut:
            return "..."

    def _redacted(self, texts: Mapping[str, Any], placeholders: Placeholders) -> Mapping[str, Any]:
        from transformers_hem.guards.privacy.leaving import read
        from transformers_hem.guards.privacy.redacting import Seen, redacted

        text = read(texts).text
        found = self._detectors.find(text)
        if not found:
            return {}
        changed = redacted(self._detectors, Seen((texts,), text, found), texts, placeholders)
        if changed is None:
            raise LeftOut("something private that can't be redacted")
        return changed


def _has_text(value: Any) -> bool:
    return isinstance(value, str | list | dict)


def _key() -> bytes:
    """Another one in each import, so that hashes of two have nothing in common, unless one is
    set."""
    key = os.environ.get(KEY, "")
    if not key:
        return os.urandom(_LEAST_KEY)
    if not _LEAST_KEY <= len(key.encode()) <= hashlib.blake2b.MAX_KEY_SIZE:
        raise ConfigurationError(
            f"{KEY} must have {_LEAST_KEY} to {hashlib.blake2b.MAX_KEY_SIZE} bytes"
        )
    return key.encode()
