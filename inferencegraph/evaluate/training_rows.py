"""Whether a router was trained on rows that it is judged by."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from inferencegraph.evaluate.datasets import DataSet, Item
from inferencegraph.evaluate.systems import System, router_sha256
from predictors.errors import ConfigurationError
from predictors.jsonl import read_content, read_rows
from transformers_hem.routers.fingerprints import fingerprint, read_fingerprints

_SHOWN: Final = 3


@dataclass(frozen=True, slots=True)
class Provenance:
    """Of a trained router. `checked`: no row of its training is among the benchmark's, as the
    router's own `training rows`, or the file `trained_on` show; else only who made the router
    attests it."""

    router: str
    sha256: str
    trained_on_sha256: str
    checked: bool


def provenance(system: System, data: Sequence[DataSet]) -> Provenance | None:
    """None for what isn't trained. Raises ConfigurationError where rows are shared."""
    if system.router is None or system.algorithm is None:
        return None
    config = system.algorithm.calibrated
    trained = config.data_sha256 if config else ""
    for each in data:
        if each.sha256 == trained:
            raise ConfigurationError(
                f"{system.name} was trained on {each.path}; judge it by other rows"
            )
    known = _training_rows(system, trained)
    if known is not None:
        _refuse_shared(system, known, [item for each in data for item in each.items])
    return Provenance(system.router, router_sha256(system.router), trained, known is not None)


def _training_rows(system: System, sha256: str) -> frozenset[bytes] | None:
    assert system.router is not None
    if system.trained_on is None:
        return read_fingerprints(system.router)
    content = read_content(system.trained_on)
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ConfigurationError(
            f"{system.name}: trained_on {system.trained_on} is not the file that the router "
            f"learned from, by its hash (config.json: data_sha256 {sha256[:12]}...)"
        )
    rows = read_rows(system.trained_on, content)
    return frozenset(fingerprint(str(row.get("query", ""))) for _, row in rows)


def _refuse_shared(system: System, known: frozenset[bytes], items: Iterable[Item]) -> None:
    shared = [item for item in items if fingerprint(item.question.query) in known]
    if shared:
        where = ", ".join(item.question.where for item in shared[:_SHOWN])
        more = f" and {len(shared) - _SHOWN} more" if len(shared) > _SHOWN else ""
        raise ConfigurationError(
            f"{system.name}: {len(shared)} rows are among those that the router was trained on "
            f"({where}{more}); take them out, or train on others"
        )
