"""The proxy of the benchmarks delays as it says."""

import socket
import threading
import time
from collections.abc import Iterator
from statistics import median

import pytest

from tests.benchmarks.speculation.link import Link

ROUND_TRIP = 0.06


@pytest.fixture(scope="module")
def echo() -> Iterator[str]:
    """host:port of a server that says again what it hears, until it hears the end."""

    def repeat(connection: socket.socket) -> None:
        with connection:
            while piece := connection.recv(1 << 16):
                connection.sendall(piece)

    def listen(listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=repeat, args=(connection,), daemon=True).start()

    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=listen, args=(listener,), daemon=True).start()
    yield f"127.0.0.1:{listener.getsockname()[1]}"
    listener.close()


@pytest.fixture(scope="module")
def link(echo: str) -> Iterator[Link]:
    with Link(echo, ROUND_TRIP) as link:
        yield link


@pytest.fixture
def caller(link: Link) -> Iterator[socket.socket]:
    link.round_trip = ROUND_TRIP
    port = int(link.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield connection


def heard(caller: socket.socket, count: int) -> bytes:
    whole = b""
    while len(whole) < count:
        piece = caller.recv(1 << 16)
        assert piece, "the link has closed"
        whole += piece
    return whole


def turn(caller: socket.socket) -> float:
    """Seconds until what is said comes back."""
    began = time.perf_counter()
    caller.sendall(b"x")
    heard(caller, 1)
    return time.perf_counter() - began


def test_an_answer_takes_a_round_trip(caller: socket.socket) -> None:
    turns = [turn(caller) for _ in range(9)]
    assert min(turns) >= ROUND_TRIP
    assert median(turns) < 1.5 * ROUND_TRIP


def test_the_delay_can_be_changed_and_none_is_none(link: Link, caller: socket.socket) -> None:
    link.round_trip = 0.0
    assert median(turn(caller) for _ in range(9)) < ROUND_TRIP / 2


def test_what_is_said_together_is_under_way_together_in_its_order(caller: socket.socket) -> None:
    said = [b"%05d" % number for number in range(100)]
    began = time.perf_counter()
    for each in said:
        caller.sendall(each)
        time.sleep(0.0005)
    assert heard(caller, 500) == b"".join(said)
    assert time.perf_counter() - began < 10 * ROUND_TRIP


def test_much_is_not_slower_and_is_counted_both_ways(link: Link, caller: socket.socket) -> None:
    much = bytes(range(256)) * 8192  # 2 MB
    sent, received = link.bytes
    began = time.perf_counter()
    sender = threading.Thread(target=caller.sendall, args=(much,))
    sender.start()
    assert heard(caller, len(much)) == much
    assert ROUND_TRIP <= time.perf_counter() - began < 20 * ROUND_TRIP
    assert link.bytes == (sent + len(much), received + len(much))


def test_an_end_arrives_behind_what_was_said_before_it(caller: socket.socket) -> None:
    caller.sendall(b"last words")
    caller.shutdown(socket.SHUT_WR)
    assert heard(caller, 10) == b"last words"
    assert caller.recv(1) == b""
