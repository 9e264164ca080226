"""Concurrent requests are run in turn: none waits for a later one, nor for all rows of another."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tests.transformers_hem.tiny_models import write_bert
from transformers_hem.routers.encoder.directory import EncoderDirectory
from transformers_hem.routers.encoder.network import Network, Output, Padded
from transformers_hem.routers.encoder.runner import FairRunner, QueryTokens


class Noting(Network):
    """Answers a row with its first word's id, when it is let; notes the rows of each run."""

    def __init__(self, batch_tokens: int) -> None:
        self.batch_tokens = batch_tokens  # type: ignore[misc]
        self.runs: list[list[int]] = []
        self.held = threading.Event()
        self.open = threading.Event()

    def run(self, padded: Padded) -> Output:
        self.held.set()
        self.open.wait(10)
        first = padded.ids[:, 1]
        self.runs.append(first.tolist())
        if (first == 1).any():
            raise RuntimeError("no such word")
        return first.astype(np.float32)[:, None]


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> QueryTokens:
    return QueryTokens(EncoderDirectory.open(str(write_bert(tmp_path_factory.mktemp("m") / "b"))))


def ask_in_order(tokens: QueryTokens, network: Noting, count: int) -> list[float]:
    """Each from a thread of its own, while the network is held up; then it is let go."""
    runner = FairRunner(tokens, network)
    with ThreadPoolExecutor(count) as pool:
        answers = []
        for number in range(count):
            answers.append(pool.submit(runner.run, [f"{number} ?"]))
            assert network.held.wait(10)
            while runner.waiting < number:
                time.sleep(0.001)
        network.open.set()
        return [float(answer.result(10)[0][0]) for answer in answers]


def test_32_concurrent_requests_are_run_in_the_order_of_their_arrival(tokens: QueryTokens) -> None:
    network = Noting(batch_tokens=0)
    answers = ask_in_order(tokens, network, 32)
    assert answers == [number + 10 for number in range(32)]  # the id of the word for that number
    assert network.runs == [[number + 10] for number in range(32)]


def test_rows_that_wait_are_run_together_where_the_network_can(tokens: QueryTokens) -> None:
    network = Noting(batch_tokens=4 * 8)
    answers = ask_in_order(tokens, network, 17)
    assert answers == [number + 10 for number in range(17)]
    assert [len(run) for run in network.runs] == [1, 8, 8]
    assert [row for run in network.runs for row in run] == [n + 10 for n in range(17)]


def test_a_large_request_does_not_keep_small_ones_waiting(tokens: QueryTokens) -> None:
    network = Noting(batch_tokens=0)
    runner = FairRunner(tokens, network)
    with ThreadPoolExecutor(3) as pool:
        large = pool.submit(runner.run, ["0 ?"] * 1000)
        assert network.held.wait(10)
        while runner.waiting < 999:
            time.sleep(0.001)
        small = [pool.submit(runner.run, [f"{number} ?"] * 2) for number in (1, 2)]
        while runner.waiting < 1003:
            time.sleep(0.001)
        network.open.set()
        assert [answer.result(10)[0].tolist() for answer in small] == [[11], [12]]
        assert len(large.result(10)) == 1000
    order = [row for run in network.runs for row in run]
    assert sorted(order[:8]) == [10, 10, 10, 10, 11, 11, 12, 12]
    assert runner.run([]) == [] and runner.waiting == 0


def test_a_failure_is_told_to_those_it_concerns_alone(tokens: QueryTokens) -> None:
    network = Noting(batch_tokens=0)
    network.open.set()
    runner = FairRunner(tokens, network)
    with pytest.raises(RuntimeError, match="no such word"):
        runner.run(["unheard of"])
    assert runner.run(["7 ?"])[0].tolist() == [17]


def test_a_row_of_states_comes_without_its_padding(tokens: QueryTokens) -> None:
    class States(Network):
        batch_tokens = 1000

        def run(self, padded: Padded) -> Output:
            return np.repeat(padded.mask[:, :, None], 3, axis=2).astype(np.float32)

    short, long = FairRunner(tokens, States()).run(["7", "what is 7 + 8 ?"])
    assert (short.shape, long.shape) == ((3, 3), (8, 3))
    assert short.min() == 1


def test_a_real_encoder_behind_it_answers_from_many_threads(tmp_path: Path) -> None:
    from transformers_hem.routers.encoder.runner import open_network

    directory = EncoderDirectory.open(str(write_bert(tmp_path / "b", ("easy", "hard"))))
    network = open_network(directory, "torch", output="logits", threads=1)
    runner = FairRunner(QueryTokens(directory), network)
    texts = [f"what is {number} + {number} ?" for number in range(32)]
    with ThreadPoolExecutor(32) as pool:
        together = np.stack([found[0] for found in pool.map(lambda t: runner.run([t]), texts)])
    assert together == pytest.approx(np.stack(runner.run(texts)), abs=1e-6)
