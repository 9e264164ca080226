"""What happens to a service: on its wire, to its process, its address, its network, its disk."""

import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Final

import trustme

from tests.soak.full_disk import full_disk
from tests.soak.service import Service
from tests.soak.services import Stack
from tests.soak.wire_faults import FAULTS

Happening = Callable[[Stack, str], AbstractContextManager["Lasting"]]


class Unplayable(Exception):
    """The fault can't be played here, and why."""


class Lasting:
    """Of a fault that is prepared: `begin`, then `end`, which returns when it is mended."""

    def __init__(self, begin: Callable[[], None], end: Callable[[], None]) -> None:
        self.begin, self.end = begin, end


def on_the_wire(fault: str) -> Happening:
    @contextmanager
    def happening(stack: Stack, part: str) -> Iterator[Lasting]:
        proxy = stack.proxies[part]
        yield Lasting(lambda: proxy.play(fault), proxy.heal)

    return happening


@contextmanager
def killed(stack: Stack, part: str) -> Iterator[Lasting]:
    service = stack.parts[part]
    yield Lasting(service.kill, lambda: _replaced(service))


@contextmanager
def terminated(stack: Stack, part: str) -> Iterator[Lasting]:
    service = stack.parts[part]
    yield Lasting(service.terminate, lambda: _replaced(service))


@contextmanager
def frozen(stack: Stack, part: str) -> Iterator[Lasting]:
    service = stack.parts[part]
    yield Lasting(service.freeze, service.thaw)


@contextmanager
def restarting(stack: Stack, part: str) -> Iterator[Lasting]:
    """Killed, started, and killed again as soon as it is ready."""
    service, over = stack.parts[part], threading.Event()

    def restart() -> None:
        while not over.is_set():
            service.kill()
            service.start()
            while not over.wait(0.2) and service.alive and not service.is_ready():
                pass

    thread = threading.Thread(target=restart, daemon=True)

    def end() -> None:
        over.set()
        thread.join()
        service.wait_ready()

    yield Lasting(thread.start, end)


def _replaced(service: Service) -> None:
    service.start()
    service.wait_ready()


@contextmanager
def bad_certificate(stack: Stack, part: str) -> Iterator[Lasting]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert(stack.network.address).configure_cert(context)
    proxy = stack.maker.add(stack.network, context)
    proxy.aim(stack.parts["cloud"].port)
    with _uplink_to(stack, proxy.url) as lasting:
        yield lasting


@contextmanager
def unknown_host(stack: Stack, part: str) -> Iterator[Lasting]:
    with _uplink_to(stack, "http://qa-cloud.invalid") as lasting:
        yield lasting


@contextmanager
def _uplink_to(stack: Stack, url: str) -> Iterator[Lasting]:
    with _stand_in(stack, "uplink", ("--url", url)) as (_, lasting):
        yield lasting


@contextmanager
def _stand_in(
    stack: Stack,
    part: str,
    options: tuple[str, ...] = (),
    environment: Mapping[str, str] | None = None,
) -> Iterator[tuple[Service, Lasting]]:
    """Another process with other settings takes the calls for a while."""
    other = stack.parts[part].stand_in(options, environment)
    try:
        other.wait_ready()
        yield (
            other,
            Lasting(lambda: stack.aim(part, other), lambda: stack.aim(part, stack.parts[part])),
        )
    finally:
        other.close()


@contextmanager
def packet_loss(stack: Stack, part: str) -> Iterator[Lasting]:
    if stack.network.no_loss:
        raise Unplayable(stack.network.no_loss)
    port = stack.proxies[part].port
    yield Lasting(lambda: stack.network.lose(port), stack.network.keep)


@contextmanager
def disk_full(stack: Stack, part: str) -> Iterator[Lasting]:
    """Of a service that keeps its answers in a file, where it is one that has answers."""
    with full_disk(stack.folder / f"{part}-disk") as disk:
        if disk.why_not:
            raise Unplayable(disk.why_not)
        cache = () if part == "hem" else ("--cache", f"{disk.folder}/answers.cache")
        temporary = {"TMPDIR": str(disk.folder)}
        with _stand_in(stack, part, cache, temporary) as (_, lasting):

            def begin() -> None:
                lasting.begin()
                disk.fill()

            yield Lasting(begin, lasting.end)


# A near part's caller is the graph's router, which reads no answers: there these are no others.
VARIANTS: Final = ("dripping head", "garbage body", "cut short")
ON_ALL: Final[Mapping[str, Happening]] = {
    "killed": killed,
    "terminated": terminated,
    "frozen": frozen,
    "restarting": restarting,
    **{fault: on_the_wire(fault) for fault in FAULTS if fault not in VARIANTS},
    "20% packet loss": packet_loss,
    "disk full": disk_full,
}
ON_THE_CLOUD: Final[Mapping[str, Happening]] = {
    **{fault: on_the_wire(fault) for fault in VARIANTS},
    "bad certificate": bad_certificate,
    "unknown host": unknown_host,
}
HAPPENINGS: Final = {**ON_ALL, **ON_THE_CLOUD}
