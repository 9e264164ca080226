"""How a server's command line ends. Imports nothing heavy: a bad setting is told at once."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, NoReturn

from predictors.errors import ConfigurationError, HEMError

CONFIGURATION_STATUS: Final = 2
DEATH_STATUS: Final = 1


@contextmanager
def command_line(arguments: Sequence[str]) -> Iterator[None]:
    """Within it, these are the program's arguments: for modules that read them when imported."""
    given = sys.argv
    sys.argv = [given[0], *arguments]
    try:
        yield
    finally:
        sys.argv = given


def run(main: Callable[[], None]) -> NoReturn:
    """Runs a server's main function; a ConfigurationError is one line and exit status 2."""
    try:
        main()
    except ConfigurationError as error:
        _tell(error)
        sys.exit(CONFIGURATION_STATUS)
    sys.exit(0)


def end_at_once(error: HEMError) -> NoReturn:
    """Ends as `run` does, but from within running servers, which are not told: taken down while
    they start, uvicorn and gRPC bury the one line that matters under their own tracebacks."""
    _tell(error)
    sys.stdout.flush()
    os._exit(CONFIGURATION_STATUS if isinstance(error, ConfigurationError) else DEATH_STATUS)


def _tell(error: HEMError) -> None:
    print(f"error: {error}", file=sys.stderr, flush=True)
