"""Lazy tables: a name stands for "module:Class", imported when it is first asked for.

Registry         a closed table: this project's own names
PluginRegistry   a table that installed packages add names to, by an entry point
load_class       a class of the user's own, by its path
"""

import functools
import importlib
import inspect
import sys
from collections.abc import Mapping
from importlib.metadata import EntryPoints, entry_points
from typing import Generic, TypeVar, cast

from predictors.errors import ConfigurationError, known

T = TypeVar("T")


class Registry(Generic[T]):
    """Maps names to classes without importing them.

    `kind` is the word for a name in errors ("engine", "algorithm"). `extras` names the extra of
    this project that brings what a class imports, where it doesn't have the name of the class.
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
        if self._table.setdefault(name, target) != target:
            raise ConfigurationError(f"{self.kind} {name!r} is registered already")

    def load(self, name: str) -> type[T]:
        """Imports the class. Raises ConfigurationError for an unknown name or a missing extra."""
        if name not in self._table:
            raise ConfigurationError(f"unknown {self.kind} {name!r}; {known(name, self.names())}")
        module_name, _, attribute = self._table[name].partition(":")
        try:
            module = importlib.import_module(module_name)
        except ModuleNotFoundError as missing:
            raise ConfigurationError(
                f"{self.kind} {name!r} needs the package {missing.name!r}, which is not installed; "
                f"try: pip install 'kserve-hem[{self._extras.get(name, name)}]'"
            ) from missing
        return cast(type[T], getattr(module, attribute))


def installed(group: str) -> EntryPoints:
    """What the packages on sys.path declare under an entry point group."""
    return _declared(group, tuple(sys.path))


@functools.lru_cache(maxsize=8)
def _declared(group: str, path: tuple[str, ...]) -> EntryPoints:
    """Read once: for it the metadata of all packages are opened, tens of milliseconds."""
    return entry_points(group=group)


class PluginRegistry(Registry[T]):
    """A table, and the subclasses of `base` that installed packages declare under the entry point
    `group`."""

    group: str
    base: type[T]

    def names(self) -> list[str]:
        """Names of this project, and of installed packages."""
        return sorted({*self._table, *installed(self.group).names})

    def load(self, name: str) -> type[T]:
        """Imports the class. Raises ConfigurationError for an unknown name, and for one that two
        packages have."""
        entries = list(installed(self.group).select(name=name))
        if not entries:
            return super().load(name)
        owners = ["this package"] if name in self._table else []
        owners += [entry.dist.name if entry.dist else entry.value for entry in entries]
        if len(owners) > 1:
            raise ConfigurationError(
                f"{self.kind} {name!r} is given by {' and by '.join(owners)}: one has to be "
                f"renamed in its entry point group {self.group!r}, or named as "
                "'package.module:Class'"
            )
        return self.load_own(entries[0].value, f"{self.kind} {name!r} of {owners[0]}")

    def load_own(self, path: str, source: str) -> type[T]:
        """A class by its path. Raises ConfigurationError that begins with `source`."""
        loaded = load_class(path, self.base, source)
        refuse_abstract(loaded, source)
        return loaded


def load_class(path: str, base: type[T], source: str) -> type[T]:
    """Imports a subclass of `base`. Raises ConfigurationError that begins with `source`."""
    module_name, _, attribute = path.partition(":")
    if not all(part.isidentifier() for part in (*module_name.split("."), attribute)):
        raise ConfigurationError(f"{source}: {path!r} is not 'package.module:Class'")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"{source}: there is no module {error.name!r}; install its package, or put its folder "
            "on PYTHONPATH"
        ) from error
    except Exception as error:
        raise ConfigurationError(
            f"{source}: {module_name} fails when it is imported: {error!r}"
        ) from error
    loaded = getattr(module, attribute, None)
    if loaded is None:
        raise ConfigurationError(f"{source}: {module.__name__} has no {attribute!r}")
    if not isinstance(loaded, type) or not issubclass(loaded, base):
        raise ConfigurationError(
            f"{source}: {loaded!r} is not a subclass of {base.__module__}.{base.__name__}"
        )
    return loaded


def refuse_abstract(loaded: type, source: str) -> None:
    """Raises ConfigurationError that names the methods which the class lacks."""
    if inspect.isabstract(loaded):
        missing = ", ".join(sorted(getattr(loaded, "__abstractmethods__", ())))
        raise ConfigurationError(f"{source}: it does not define {missing}")
