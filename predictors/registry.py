"""Lazy tables: a name stands for "module:Class", imported when it is first asked for."""

import difflib
import importlib
from collections.abc import Mapping
from typing import Generic, TypeVar, cast

from predictors.errors import ConfigurationError

T = TypeVar("T")


class Registry(Generic[T]):
    """Maps names to classes without importing them.

    `kind` is the word used in errors ("engine", "algorithm"). `extras`: which extra of the project
    brings what a name needs, where that is not an extra of the same name.
    """

    def __init__(
        self, kind: str, table: Mapping[str, str], extras: Mapping[str, str] | None = None
    ) -> None:
        self.kind = kind
        self._table = dict(table)
        self._extras = dict(extras or {})

    def names(self) -> list[str]:
        return sorted(self._table)

    def register(self, name: str, target: str) -> None:
        """Adds one name. Raises ConfigurationError where the name is taken."""
        if self._table.get(name, target) != target:
            raise ConfigurationError(f"{self.kind} {name!r} is registered already")
        self._table[name] = target

    def load(self, name: str) -> type[T]:
        """Imports the class. Raises ConfigurationError for an unknown name or a missing extra."""
        target = self._table.get(name)
        if target is None:
            near = difflib.get_close_matches(name, self._table, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            known = ", ".join(self.names())
            raise ConfigurationError(f"unknown {self.kind} {name!r}; known: {known}{hint}")
        module_name, _, attribute = target.partition(":")
        try:
            module = importlib.import_module(module_name)
        except ModuleNotFoundError as missing:
            raise ConfigurationError(
                f"{self.kind} {name!r} needs the package {missing.name!r}, which is not installed; "
                f"try: pip install 'kserve-hem[{self._extras.get(name, name)}]'"
            ) from missing
        return cast(type[T], getattr(module, attribute))
