"""From texts to a model's outputs: queries to token rows, and a network that runs them for many
threads, a row of each request in turn."""

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from predictors.errors import ConfigurationError, first_line
from transformers_hem.routers.encoder.directory import (
    TOKENIZER_FILE,
    BackendChoice,
    EncoderDirectory,
)
from transformers_hem.routers.encoder.network import Network, Output, OutputKind, Padded

Row = list[int]
Waiting = tuple[Row, Future[Output]]


class QueryTokens:
    """A directory's tokenizer: the same rows, cut by tokens, for every network and in training.

    Safe to share between threads.
    """

    def __init__(self, directory: EncoderDirectory) -> None:
        """Raises ConfigurationError where the directory's tokenizer can't be read."""
        self._pad_id = directory.pad_id
        self._tokenizer = _load(directory)
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(directory.max_tokens)
        # No text is longer than this in tokens of its end; it keeps a megabyte off the tokenizer.
        self._characters = directory.max_tokens * 64

    def save(self, path: Path) -> None:
        """As a tokenizer.json, whatever form it came in."""
        self._tokenizer.save(str(path))

    def rows(self, texts: Sequence[str]) -> list[Row]:
        """Token ids with the model's special tokens, at most `max_tokens` each, at least one."""
        cut = [text[: self._characters] for text in texts]
        return [encoded.ids or [self._pad_id] for encoded in self._tokenizer.encode_batch(cut)]

    def pad(self, rows: Sequence[Row]) -> Padded:
        """On the right, to the longest row."""
        ids = np.full((len(rows), max(map(len, rows))), self._pad_id, dtype=np.int64)
        mask = np.zeros_like(ids)
        for index, row in enumerate(rows):
            ids[index, : len(row)] = row
            mask[index, : len(row)] = 1
        return Padded(ids, mask)


def _load(directory: EncoderDirectory) -> Any:
    path = directory.path / TOKENIZER_FILE
    try:
        if path.is_file():
            from tokenizers import Tokenizer

            return Tokenizer.from_file(str(path))
        from transformers import AutoTokenizer  # an older directory, with a vocabulary only

        return AutoTokenizer.from_pretrained(directory.path).backend_tokenizer
    except Exception as error:  # tokenizers raises nothing narrower
        raise ConfigurationError(
            f"model {directory.path}: its tokenizer can't be loaded: {first_line(error)}"
        ) from error


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


class FairRunner:
    """A network and its tokenizer, shared by concurrent requests.

    Requests stand in a line; a single thread takes a row of each in turn, and runs as many at once
    as the network takes. So a query waits for one row of each other request, not for all the rows
    of a large one.
    """

    def __init__(self, tokens: QueryTokens, network: Network) -> None:
        self._tokens = tokens
        self._network = network
        self._line: deque[deque[Waiting]] = deque()
        self._lock = Lock()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="encoder")

    @property
    def waiting(self) -> int:
        """Rows in the line, behind those that the network runs."""
        with self._lock:
            return sum(map(len, self._line))

    def run(self, texts: Sequence[str]) -> list[Output]:
        """One output per text: [C], or [T, D] without its padding. Blocks until they are there."""
        waiting: list[Waiting] = [(row, Future()) for row in self._tokens.rows(texts)]
        if not waiting:
            return []
        with self._lock:
            self._line.append(deque(waiting))
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
            request = self._line[0]
            longest = max(longest, len(request[0][0]))
            if batch and longest * (len(batch) + 1) > self._network.batch_tokens:
                break
            batch.append(request.popleft())
            self._line.rotate(-1)
            if not request:
                self._line.pop()
        return batch
