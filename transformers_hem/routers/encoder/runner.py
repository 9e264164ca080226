"""Opens a network, and runs it for many threads: one row after the other in the order that they
came."""

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock

from transformers_hem.routers.encoder.directory import BackendChoice, EncoderDirectory
from transformers_hem.routers.encoder.network import Network, Output, OutputKind
from transformers_hem.routers.encoder.tokens import QueryTokens, Row


def open_network(
    directory: EncoderDirectory, backend: BackendChoice, *, output: OutputKind, threads: int
) -> Network:
    """Loads the model's weights. `threads` 0 leaves their number to the library.

    Raises ConfigurationError where the directory or the backend is unusable.
    """
    if directory.backend(backend) == "onnxruntime":
        from transformers_hem.routers.encoder.onnx_network import OnnxNetwork

        return OnnxNetwork(directory, threads)
    from transformers_hem.routers.encoder.torch_network import TorchNetwork

    return TorchNetwork(directory, output, threads)


Waiting = tuple[Row, Future[Output]]


class FairRunner:
    """A network and its tokenizer, shared by concurrent requests.

    Rows wait in one line; a single thread runs them from its front, as many at once as the network
    takes. Nobody is overtaken, so nobody starves.
    """

    def __init__(self, tokens: QueryTokens, network: Network) -> None:
        self._tokens = tokens
        self._network = network
        self._line: deque[Waiting] = deque()
        self._lock = Lock()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="encoder")

    @property
    def waiting(self) -> int:
        """Rows in the line, behind those that the network runs."""
        return len(self._line)

    def run(self, texts: Sequence[str]) -> list[Output]:
        """One output per text: [C], or [T, D] without its padding. Blocks until they are there."""
        waiting: list[Waiting] = [(row, Future()) for row in self._tokens.rows(texts)]
        with self._lock:
            self._line.extend(waiting)
            for _ in waiting:
                self._thread.submit(self._run_front)
        return [output.result() for _, output in waiting]

    def _run_front(self) -> None:
        """Submitted once per row; finds the line empty where rows before it were run together."""
        with self._lock:
            batch = self._take()
        if not batch:
            return
        try:
            outputs = self._network.run(self._tokens.pad([row for row, _ in batch]))
        except Exception as error:
            for _, future in batch:
                future.set_exception(error)
            return
        for (row, future), output in zip(batch, outputs, strict=True):
            future.set_result(output if output.ndim == 1 else output[: len(row)])

    def _take(self) -> list[Waiting]:
        batch: list[Waiting] = []
        longest = 0
        while self._line:
            longest = max(longest, len(self._line[0][0]))
            if batch and longest * (len(batch) + 1) > self._network.batch_tokens:
                break
            batch.append(self._line.popleft())
        return batch
