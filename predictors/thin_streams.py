"""Lost packets of connections that carry little: sent again soon, each time.

TCP doubles the wait with each loss of the same packet: 0.2, 0.4, 0.8, 1.6 s. A call is a handful of
packets, so where one in five is lost, one call in a few hundred waits for three seconds and more.
Linux keeps to the first wait, six times, for connections with fewer than four packets under way
(TCP_THIN_LINEAR_TIMEOUTS, Documentation/networking/tcp-thin.rst). Imports nothing heavy.
"""

import contextlib
import socket
import sys
from typing import Any, Final

TCP_THIN_LINEAR_TIMEOUTS: Final = 16  # include/uapi/linux/tcp.h; Python has no name for it


def retry_soon(connection: Any) -> None:
    """Of a TCP socket, or what stands for one; elsewhere than on Linux it does nothing."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, TCP_THIN_LINEAR_TIMEOUTS, 1)


def thin_socket(address: tuple[Any, ...]) -> socket.socket:
    """aiohttp's socket factory; `address` is one of getaddrinfo's."""
    family, kind, protocol = address[:3]
    connection = socket.socket(family, kind, protocol)
    retry_soon(connection)
    return connection
