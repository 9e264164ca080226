"""The table of algorithms: lazy, with the names of Sedna and Ianvs, and with those of plug-ins."""

from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points

from predictors.errors import ConfigurationError
from predictors.registry import Registry
from transformers_hem.algorithms.base import Algorithm
from transformers_hem.algorithms.own import load_own

ENTRY_POINTS = "kserve_hem.algorithms"


class AlgorithmRegistry(Registry[Algorithm]):
    """`aliases` maps another name of an algorithm to its own."""

    def __init__(self, table: Mapping[str, str], aliases: Mapping[str, str]) -> None:
        super().__init__("algorithm", {**table, **{a: table[name] for a, name in aliases.items()}})

    def names(self) -> list[str]:
        """Of this package's algorithms, their aliases, and those of installed packages."""
        return sorted({*self._table, *(entry.name for entry in entry_points(group=ENTRY_POINTS))})

    def load(self, name: str) -> type[Algorithm]:
        """Imports the class. Raises ConfigurationError for a name that nobody or two have."""
        installed = [entry for entry in entry_points(group=ENTRY_POINTS) if entry.name == name]
        if not installed:
            return super().load(name)
        owners = ["this package"] if name in self._table else []
        owners += [_owner(entry) for entry in installed]
        if len(owners) > 1:
            raise ConfigurationError(
                f"algorithm {name!r} is given by {' and by '.join(owners)}: one has to be renamed "
                f"in its entry point group {ENTRY_POINTS!r}, or named as 'package.module:Class'"
            )
        return load_own(installed[0].value, f"algorithm {name!r} of {owners[0]}")


def _owner(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist else entry.value
