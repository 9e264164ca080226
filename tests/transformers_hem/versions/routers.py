"""Routers that are quickly made: the shipped one with a threshold of its own, and with a promise,
which shadow pairs keep or break."""

import shutil
import time
from pathlib import Path
from typing import Any

import orjson

from tests.transformers_hem.retraining.queries import Store
from transformers_hem.calibration.config import Calibration
from transformers_hem.embedded import directory
from transformers_hem.reload.files import digest
from transformers_hem.retraining.watching import Check, check
from transformers_hem.versions.folder import Versions
from transformers_hem.versions.record import Origin

ADDED = Origin(how="added")


def router_with(threshold: float, out: Path, **config: Any) -> str:
    shutil.copytree(directory("embedded:linear"), out)
    file = out / "config.json"
    content = {**orjson.loads(file.read_bytes()), "threshold": threshold, **config}
    file.write_bytes(orjson.dumps(content))
    return str(out)


def promising(threshold: float, limit: float, out: Path) -> str:
    """It promises a quality loss of at most `limit`."""
    calibration = Calibration(
        target="max_quality_loss",
        limit=limit,
        threshold=threshold,
        confidence=0.95,
        edge_share=0.6,
        rows=1000,
        data_sha256="",
        promise="60.0% of the queries at the edge, a quality loss against cloud-only of at most "
        f"{limit:g} with confidence 0.95 at all times (0.0123 on these rows), from 1000 rows",
    )
    return router_with(threshold, out, calibration=calibration.model_dump())


def checked(versions: Versions, store: Store, lost: int, pairs: int = 400) -> Check:
    """What `hem retrain --check` finds where, of so many queries that the edge answered, it was
    wrong in `lost`, and the cloud in none."""
    number = versions.current
    assert number is not None
    right = [int(n * lost % pairs >= lost) for n in range(pairs)]
    rows = [(f"query {n} of version {number}", edge, 1) for n, edge in enumerate(right)]
    store.shadows(rows, time.time(), digest(versions.directory(number)) or "")
    return check(versions, store.path, dry_run=False)
