"""How a server's command line ends. Imports nothing heavy: a bad setting is told at once."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

from predictors.errors import ConfigurationError


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
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    sys.exit(0)
