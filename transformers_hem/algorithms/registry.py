"""The table of algorithms: lazy, with the names of Sedna and Ianvs, and with those of plug-ins."""

from collections.abc import Mapping

from predictors.plugins import PluginRegistry
from transformers_hem.algorithms.base import Algorithm
from transformers_hem.algorithms.own import load_own

ENTRY_POINTS = "kserve_hem.algorithms"


class AlgorithmRegistry(PluginRegistry[Algorithm]):
    """`aliases` maps another name of an algorithm to its own."""

    group = ENTRY_POINTS
    base = Algorithm

    def __init__(self, table: Mapping[str, str], aliases: Mapping[str, str]) -> None:
        super().__init__("algorithm", {**table, **{a: table[name] for a, name in aliases.items()}})

    def load_own(self, path: str, source: str) -> type[Algorithm]:
        return load_own(path, source)
