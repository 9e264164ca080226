"""Lazy tables: a name stands for "module:Class", imported when it is first asked for."""

import difflib
import importlib
import inspect
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
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


def load_class(path: str, base: type[T], source: str) -> type[T]:
    """Imports a subclass of `base` that can be made. Raises ConfigurationError that begins with
    `source`."""
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
    found = getattr(module, attribute, None)
    if found is None:
        raise ConfigurationError(f"{source}: {module.__name__} has no {attribute!r}")
    if not isinstance(found, type) or not issubclass(found, base):
        raise ConfigurationError(
            f"{source}: {found!r} is not a subclass of {base.__module__}.{base.__name__}"
        )
    return found


def refuse_abstract(found: type, source: str) -> None:
    """Raises ConfigurationError that names the methods which are missing."""
    if inspect.isabstract(found):
        missing = ", ".join(sorted(getattr(found, "__abstractmethods__", ())))
        raise ConfigurationError(f"{source}: it does not define {missing}")


class PluginRegistry(Registry[T]):
    """A table, and the classes that installed packages give under the entry point `group`."""

    group: str
    base: type[T]

    def names(self) -> list[str]:
        """Of this package's own, and those of installed packages."""
        return sorted({*self._table, *(entry.name for entry in entry_points(group=self.group))})

    def load(self, name: str) -> type[T]:
        """Imports the class. Raises ConfigurationError for a name that nobody or two have."""
        installed = [entry for entry in entry_points(group=self.group) if entry.name == name]
        if not installed:
            return super().load(name)
        owners = ["this package"] if name in self._table else []
        owners += [_owner(entry) for entry in installed]
        if len(owners) > 1:
            raise ConfigurationError(
                f"{self.kind} {name!r} is given by {' and by '.join(owners)}: one has to be "
                f"renamed in its entry point group {self.group!r}, or named as "
                "'package.module:Class'"
            )
        return self.load_own(installed[0].value, f"{self.kind} {name!r} of {owners[0]}")

    def load_own(self, path: str, source: str) -> type[T]:
        """A class by its path. Raises ConfigurationError that begins with `source`."""
        found = load_class(path, self.base, source)
        refuse_abstract(found, source)
        return found


def _owner(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist else entry.value
