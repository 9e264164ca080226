"""`hem calibrate`: labelled traffic in, a threshold and what it promises out, which can be written
into a router's directory."""

import os
import shutil
from pathlib import Path

import numpy as np
import orjson

from predictors.errors import ConfigurationError
from predictors.jsonl import write_lines
from transformers_hem import embedded
from transformers_hem.algorithms.base import Algorithm
from transformers_hem.calibration.config import Calibration, RoutingCurve, ScoreSpread
from transformers_hem.calibration.sample import Sample
from transformers_hem.calibration.targets import Target
from transformers_hem.labels.prefixes import the_first
from transformers_hem.routers.directory import (
    CONFIG_FILE,
    locate,
    new_directory,
    read_file,
    require_place,
)
from transformers_hem.versions.pointer import VERSION_FILE


def calibrate(
    algorithm: Algorithm, sample: Sample, target: Target, confidence: float
) -> Calibration:
    """Raises NoPromise where the rows can't support the promise, saying how many could.

    A promise is about queries like the sample's, asked one at a time; the metric `hem_score_psi`
    watches whether live queries still are.
    """
    if algorithm.fixed_route is not None:
        raise ConfigurationError(
            f"{type(algorithm).__name__} sends everything to the {algorithm.fixed_route}: "
            "it has no threshold to calibrate"
        )
    threshold, promise = target.promise(sample, algorithm.stage, confidence)
    share, rows = float(np.mean(sample.scores <= threshold)), len(sample.scores)
    tokens = algorithm.prefix_tokens
    decided = "" if tokens is None else f"; decided on {the_first(tokens)} of each answer"
    return Calibration(
        target=target.name,
        limit=target.limit,
        threshold=threshold,
        confidence=confidence,
        edge_share=share,
        rows=rows,
        data_sha256=sample.sha256,
        promise=f"{share:.1%} of the queries at the edge, {promise}, from {rows} rows{decided}",
    )


def write_calibration(
    router: str,
    calibration: Calibration,
    scores: ScoreSpread,
    out: Path | None,
    curve: RoutingCurve | None = None,
) -> Path:
    """Into the router itself, or into a copy of it at `out`, which must not exist yet. Without a
    `curve` the training's stays.

    Returns the directory. Everything else in config.json stays as it was. Raises
    ConfigurationError, and then leaves both as they were.
    """
    source = locate(router)
    config = orjson.loads(read_file(source / CONFIG_FILE))
    config |= {"scores": scores.model_dump(), "calibration": calibration.model_dump()}
    if curve is not None:
        config["curve"] = curve.model_dump()
    # `write_lines` replaces a file: a server that starts meanwhile reads the old or the new one.
    lines = [orjson.dumps(config, option=orjson.OPT_INDENT_2) + b"\n"]
    try:
        if out is None:
            write_lines(source / CONFIG_FILE, lines)
            return source
        with new_directory(out) as aside:
            others = shutil.ignore_patterns(VERSION_FILE)  # the copy is no version
            shutil.copytree(source, aside, dirs_exist_ok=True, ignore=others)
            write_lines(aside / CONFIG_FILE, lines)
    except OSError as error:
        raise ConfigurationError(f"{out or source} can't be written: {error.strerror}") from error
    return out


def require_writable(router: str, out: Path | None) -> None:
    """Called before the work is done: raises ConfigurationError where `write_calibration` would."""
    if out is None and router.startswith(embedded.PREFIX):
        raise ConfigurationError(
            f"{router} is part of the installation; name a directory for the calibrated copy "
            "with --out"
        )
    if out is None and (locate(router) / VERSION_FILE).exists():
        raise ConfigurationError(
            f"{locate(router)} is a version of a router, which never changes; name a directory for "
            "the calibrated copy with --out, and add it: hem retrain --add"
        )
    if out is not None:
        if os.path.lexists(out):
            raise ConfigurationError(f"{out} exists; name a new directory for the calibrated copy")
        require_place(out)
