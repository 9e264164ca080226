"""Algorithms and guards, made of settings and files; what nobody changed is kept as it is.

A guard may hold state (a budget's window, readings of a machine), a router takes seconds to load:
so a change of one makes no other anew.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from transformers_hem import embedded
from transformers_hem.algorithms.base import Algorithm, AlgorithmParameters
from transformers_hem.guards.base import Guard
from transformers_hem.guards.settings import guard_of
from transformers_hem.reload.files import Stamps, stamps
from transformers_hem.reload.report import What
from transformers_hem.routers.directory import locate

T = TypeVar("T")

ROUTER = "router"
_Recipe = tuple[Any, ...]


class Making:
    """`before` is what made all that is in force; its things are taken where their recipe is the
    same. `files` are those that were read, as they were before that; `guards` are
    their parameters by name."""

    def __init__(self, before: "Making | None" = None) -> None:
        self._before: Mapping[_Recipe, Any] = before._made if before else {}
        self._made: dict[_Recipe, Any] = {}
        self.files: dict[What, Stamps] = {"router": {}, "guards": {}}
        self.guards: dict[str, AlgorithmParameters] = {}
        self._new: list[Guard] = []

    def algorithm(
        self, kind: type[Algorithm], parameters: AlgorithmParameters, beside: Sequence[Path] = ()
    ) -> Algorithm:
        """`beside`: files that say where the router is. Raises ConfigurationError."""
        read = stamps([*files_of(parameters).values(), *beside])
        self.files["router"] = read
        return self._one((kind, parameters.model_dump_json(), read), lambda: kind(parameters))

    def guard(self, name: str, values: dict[str, str], settings: Mapping[str, Any]) -> Guard:
        """`settings`: see guard_of. Raises ConfigurationError."""
        kind, parameters = guard_of(name, values, settings)
        read = stamps(files_of(parameters).values())
        self.guards[name] = parameters
        self.files["guards"] = {**self.files["guards"], **read}

        def make() -> Guard:
            made = kind(parameters)
            self._new.append(made)
            return made

        return self._one((kind, parameters.model_dump_json(), read), make)

    def forget(self) -> None:
        """What was in force before, and is not any more: a router may be large."""
        self._before = {}
        self._new = []

    def discard(self) -> None:
        """What was made anew is not taken: guards may have threads and files."""
        for guard in self._new:
            guard.close()

    def _one(self, recipe: _Recipe, make: Callable[[], T]) -> T:
        kind, parameters, read = recipe
        known = (kind, parameters, tuple(sorted(read.items())))
        made: T = self._before[known] if known in self._before else make()
        self._made[known] = made
        return made


def files_of(parameters: AlgorithmParameters) -> dict[str, Path]:
    """The files and folders that parameters name, by the parameters' names. What ships stays as it
    is."""
    named = {
        name: value
        for name in sorted(parameters.files)
        if isinstance(value := getattr(parameters, name, None), str) and value
    }
    return {
        name: locate(value) if name == ROUTER else Path(value)
        for name, value in named.items()
        if not embedded.is_shipped(value)
    }
