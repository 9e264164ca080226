"""Puts a calibration into a router's directory."""

import os
import shutil
from pathlib import Path
from typing import Any

import orjson

from predictors.errors import ConfigurationError
from predictors.jsonl import write_lines
from transformers_hem import embedded
from transformers_hem.calibration.config import Calibration, ScoreSpread
from transformers_hem.routers.directory import (
    CONFIG_FILE,
    locate,
    new_directory,
    read_file,
    require_place,
)


def write_calibration(
    router: str, calibration: Calibration, scores: ScoreSpread, out: Path | None
) -> Path:
    """Into the router itself, or into a copy of it at `out`, which must not exist yet.

    Returns the directory. Everything else in config.json stays as it was. Raises
    ConfigurationError, and then leaves both as they were.
    """
    source = locate(router)
    config = orjson.loads(read_file(source / CONFIG_FILE))
    config |= {"scores": scores.model_dump(), "calibration": calibration.model_dump()}
    try:
        if out is None:
            _replace(source / CONFIG_FILE, config)
            return source
        _copy(source, out, config)
    except OSError as error:
        raise ConfigurationError(f"{out or source} can't be written: {error.strerror}") from error
    return out


def require_writable(router: str, out: Path | None) -> None:
    """Told before the work is done. Raises ConfigurationError."""
    if out is None and router.startswith(embedded.PREFIX):
        raise ConfigurationError(
            f"{router} is part of the installation; name a directory for the calibrated copy "
            "with --out"
        )
    if out is not None and os.path.lexists(out):
        raise ConfigurationError(f"{out} exists; name a new directory for the calibrated copy")
    if out is not None:
        require_place(out)


def _copy(source: Path, out: Path, config: dict[str, Any]) -> None:
    with new_directory(out) as aside:
        shutil.copytree(source, aside, dirs_exist_ok=True)
        _replace(aside / CONFIG_FILE, config)


def _replace(path: Path, config: dict[str, Any]) -> None:
    """A server that starts meanwhile reads the old or the new one."""
    write_lines(path, [orjson.dumps(config, option=orjson.OPT_INDENT_2) + b"\n"])
