"""Which ledgers this process has open: one for each path, whoever writes to it; their heads as
metrics."""

import socket
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from prometheus_client import REGISTRY
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from predictors.upstream.ledger.lines import SHOWN_DIGITS
from predictors.upstream.ledger.signing import Signer
from predictors.upstream.ledger.writer import Ledger

HOSTNAME: Final = "{hostname}"

_open: Final[dict[Path, tuple[Ledger, int]]] = {}  # and how many share it
_mutex: Final = threading.Lock()


def open_ledger(path: str, segment_bytes: int, fsync_seconds: float, key: str = "") -> Ledger:
    """The ledger at `path`, in which HOSTNAME stands for this host's; whoever comes first says how
    it is written; `key` is the file of a private key that signs it. Give it back by
    `close_ledger`. Raises ConfigurationError."""
    where = Path(path.replace(HOSTNAME, socket.gethostname())).absolute()
    with _mutex:
        ledger, users = _open.get(where, (None, 0))
        if ledger is None:
            signer = Signer(Path(key)) if key else None
            ledger = Ledger(where, segment_bytes, fsync_seconds, signer)
        _open[where] = ledger, users + 1
        return ledger


def close_ledger(ledger: Ledger) -> None:
    with _mutex:
        users = _open[ledger.path][1] - 1
        if users:
            _open[ledger.path] = ledger, users
            return
        del _open[ledger.path]
        ledger.close()


class _Heads(Collector):
    """Number and hash of one moment."""

    def collect(self) -> Iterable[GaugeMetricFamily]:
        number = GaugeMetricFamily(
            "hem_ledger_head_number", "Number of the egress ledger's last line.", labels=["ledger"]
        )
        digest = GaugeMetricFamily(
            "hem_ledger_head_hash",
            f"First {SHOWN_DIGITS} hexadecimal digits of its hash, as a number.",
            labels=["ledger"],
        )
        for path, (ledger, _) in list(_open.items()):
            head = ledger.head
            number.add_metric([str(path)], head.number)
            digest.add_metric([str(path)], int(head.digest[:SHOWN_DIGITS], 16))
        return number, digest


REGISTRY.register(_Heads())
