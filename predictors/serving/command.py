"""How a server's command line ends. Imports nothing heavy, so that a bad setting shows at once."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, NoReturn

from predictors.errors import ConfigurationError, HEMError
from predictors.logs import last_words

CONFIGURATION_STATUS: Final = 2
DEATH_STATUS: Final = 1


@contextmanager
def command_line(arguments: Sequence[str]) -> Iterator[None]:
    """Inside the context `arguments` are the program's: for modules that read them on import."""
    before = sys.argv
    sys.argv = [before[0], *arguments]
    try:
        yield
    finally:
        sys.argv = before


def run(main: Callable[[], None]) -> NoReturn:
    """Runs a server's main function; a ConfigurationError is one line and exit status 2."""
    try:
        main()
    except ConfigurationError as error:
        last_words(f"error: {error}")
        sys.exit(CONFIGURATION_STATUS)
    sys.exit(0)


def end_at_once(error: HEMError | None) -> NoReturn:
    """Ends as `run` does, but inside running servers, without stopping them: uvicorn and gRPC,
    stopped while they start, bury the one line that matters under tracebacks of their own, and
    Python waits for a thread that still loads a model. Without an error the status is 0."""
    if error is None:
        sys.stdout.flush()
        os._exit(0)
    last_words(f"error: {error}")
    sys.stdout.flush()
    os._exit(CONFIGURATION_STATUS if isinstance(error, ConfigurationError) else DEATH_STATUS)
