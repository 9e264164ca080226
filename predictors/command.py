"""How a server's command line ends. Imports nothing heavy: a bad setting is told at once."""

import sys
from collections.abc import Callable
from typing import NoReturn

from predictors.errors import ConfigurationError


def run(main: Callable[[], None]) -> NoReturn:
    """Runs a server's main function; a ConfigurationError is one line and exit status 2."""
    try:
        main()
    except ConfigurationError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    sys.exit(0)
