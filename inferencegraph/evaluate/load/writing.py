"""The rows of a run in a folder: requests.jsonl as blocks end, summary.json behind them."""

from pathlib import Path
from typing import IO, Any, Final

import orjson

from inferencegraph.evaluate.load.running import Block, Run
from predictors.errors import ConfigurationError
from predictors.jsonl import write_lines

REQUESTS: Final = "requests.jsonl"
SUMMARY: Final = "summary.json"


class Rows:
    """Raises ConfigurationError where `folder` has a run already, or can't be written to. Later
    faults, as of a full disk, end the writing and not the run: see `fault`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / REQUESTS
        self.fault: str | None = None
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file: IO[bytes] = self._path.open("xb")
        except FileExistsError:
            what = f"{self._path} exists" if folder.is_dir() else f"{folder} is a file"
            raise ConfigurationError(f"--out: {what}; choose another folder") from None
        except OSError as error:
            raise ConfigurationError(f"--out {folder} can't be written: {error.strerror}") from None

    def write(self, run: Run, block: Block) -> None:
        lines = [orjson.dumps(record.row(run.began)) + b"\n" for record in block.records]
        try:
            if self.fault is None:
                self._file.write(b"".join(lines))
                self._file.flush()
        except OSError as error:
            self.fault = f"{self._path} can't be written: {error.strerror}; its last rows are lost"

    def finish(self, facts: dict[str, Any]) -> None:
        """Closes the rows and writes the summary."""
        try:
            self._file.close()
        except OSError as error:
            self.fault = self.fault or f"{self._path} can't be written: {error.strerror}"
        try:
            write_lines(
                self._folder / SUMMARY, [orjson.dumps(facts, option=orjson.OPT_INDENT_2), b"\n"]
            )
        except ConfigurationError as error:
            self.fault = self.fault or str(error)

    def discard(self) -> None:
        """Where nothing was asked: nothing stays but the folder."""
        self._file.close()
        self._path.unlink(missing_ok=True)
