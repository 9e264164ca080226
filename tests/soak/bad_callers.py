"""Callers who hurt: each kind of input that once failed others, beside the good questions.

What such a caller gets is its own affair, but for two things: no 500, and no line of its own in a
log.
"""

import asyncio
import contextlib
import itertools
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

import grpc
import httpx
from kserve.protocol.grpc import grpc_predict_v2_pb2 as messages, grpc_predict_v2_pb2_grpc as stubs

from predictors.contract import text_request

FORGED: Final = "FORGED LINE"
TINY: Final = (1e-320, 5e-324, 1e-40, 1e-30)
HUGE_CHARACTERS: Final = 7_300_000
TOO_LARGE_BYTES: Final = 9 << 20
ROWS: Final = 10_000
# An unterminated string behind more brackets than the router counts cheaply.
QUADRATIC: Final = b"[" * 10_001 + b'\\"' * 8_000
NOT_ASCII: Final = "ü\u200b".encode()


@dataclass(frozen=True)
class Address:
    """Of a service, on loopback."""

    name: str
    port: int
    grpc_port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def infer_url(self) -> str:
        return f"{self.url}/v2/models/{self.name}/infer"


@dataclass
class BadCallers:
    """`statuses`: kind -> how often it got which status; 0 stands for no answer."""

    client: httpx.AsyncClient
    graph: str
    services: Sequence[Address]
    statuses: dict[str, Counter[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Each kind meets every service in turn, and the graph."""
        urls = [self.graph, *(service.infer_url for service in self.services)]
        self._services, self._urls = itertools.cycle(self.services), itertools.cycle(urls)
        self._tiny = itertools.cycle(itertools.product(("temperature", "top_p"), TINY))

    async def run(self, kind: str, rate: float) -> None:
        """Until cancelled; at most `at_once` of that kind at once."""
        places = asyncio.Semaphore(KINDS[kind].at_once)
        async with asyncio.TaskGroup() as group:
            while True:
                await places.acquire()
                call = group.create_task(self._call(kind))
                call.add_done_callback(lambda _: places.release())
                await asyncio.sleep(1 / rate)

    async def _call(self, kind: str) -> None:
        counted = self.statuses.setdefault(kind, Counter())
        try:
            counted[await KINDS[kind].call(self)] += 1
        except (httpx.HTTPError, OSError, grpc.RpcError):
            counted[0] += 1

    def service(self) -> Address:
        return next(self._services)

    def url(self) -> str:
        return next(self._urls)

    def tiny(self) -> tuple[str, float]:
        return next(self._tiny)

    async def post(self, url: str, **request: Any) -> int:
        return (await self.client.post(url, **request)).status_code


async def tiny_temperature(callers: BadCallers) -> int:
    name, value = callers.tiny()
    body = text_request(["what is 17 + 25?"], {name: value, "max_tokens": 32})
    return await callers.post(callers.url(), json=body)


async def unload(callers: BadCallers) -> int:
    service = callers.service()
    url = f"{service.url}/v2/repository/models/{service.name}/unload"
    return await callers.post(url)


async def unload_by_grpc(callers: BadCallers) -> int:
    """Its status as HTTP has it: 200 where the call succeeds."""
    service = callers.service()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{service.grpc_port}") as channel:
        stub = stubs.GRPCInferenceServiceStub(channel)
        request = messages.RepositoryModelUnloadRequest(model_name=service.name)
        await stub.RepositoryModelUnload(request, timeout=10)
    return 200


async def huge_query(callers: BadCallers) -> int:
    return await callers.post(callers.graph, json=text_request(["7 + " * (HUGE_CHARACTERS // 4)]))


async def too_large(callers: BadCallers) -> int:
    return await callers.post(callers.url(), content=b" " * TOO_LARGE_BYTES)


async def forged_name(callers: BadCallers) -> int:
    name = quote(f"x\n{FORGED}\r\n\x1b[31m{FORGED}", safe="")
    url = f"{callers.service().url}/v2/models/{name}/infer"
    return await callers.post(url, json=text_request(["1 + 1?"]))


async def forged_fields(callers: BadCallers) -> int:
    body = {**text_request(["1 + 1?"]), "id": f"x\n{FORGED}"}
    body["inputs"][0]["name"] = f"text\n{FORGED}"
    return await callers.post(callers.service().infer_url, json=body)


async def strange_headers(callers: BadCallers) -> int:
    headers = [
        *((b"x-request-id", NOT_ASCII), (b"traceparent", NOT_ASCII), (b"tracestate", b"\xff")),
        (b"content-type", b"application/json"),
    ]
    body = b'{"inputs":[{"name":"text_input","shape":[1],"datatype":"BYTES","data":["1 + 1?"]}]}'
    return await callers.post(callers.url(), content=body, headers=headers)


async def many_headers(callers: BadCallers) -> int:
    headers = {f"x-many-{number}": "1" for number in range(5_000)}
    return await callers.post(callers.url(), json=text_request(["1 + 1?"]), headers=headers)


async def quadratic(callers: BadCallers) -> int:
    return await callers.post(callers.graph, content=QUADRATIC)


async def many_rows(callers: BadCallers) -> int:
    queries = [f"what is {number % 89} + {number % 97}?" for number in range(ROWS)]
    body = text_request(queries, {"max_tokens": 4})
    return await callers.post(callers.graph, json=body, timeout=600)


async def burst_of_connections(callers: BadCallers) -> int:
    """Opened, never used, closed."""
    service = callers.service()
    opened = [asyncio.open_connection("127.0.0.1", service.port) for _ in range(100)]
    for connection in await asyncio.gather(*opened, return_exceptions=True):
        if isinstance(connection, tuple):
            connection[1].close()
    return 200


async def slow_head(callers: BadCallers) -> int:
    return await _slowly(callers, b"POST /v2/models/x/infer HTTP/1.1\r\nHost: x\r\nx: ")


async def slow_body(callers: BadCallers) -> int:
    head = b"POST %b HTTP/1.1\r\nHost: x\r\ncontent-type: application/json\r\n"
    return await _slowly(callers, head % b"/" + b"content-length: 100000\r\n\r\n")


async def silent_connection(callers: BadCallers) -> int:
    return await _slowly(callers, b"")


async def _slowly(callers: BadCallers, begin: bytes) -> int:
    """A byte a second behind `begin`, nothing behind none; until it is hung up on, or SLOW_SECONDS.

    0 where it was not hung up on.
    """
    url = httpx.URL(callers.url())
    reader, writer = await asyncio.open_connection(url.host, url.port)
    try:
        writer.write(begin)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SLOW_SECONDS):
                said = asyncio.ensure_future(reader.read())
                while not (await asyncio.wait([said], timeout=1))[0]:
                    writer.write(b" " * bool(begin))
                answer = said.result()
                return int(answer.split()[1]) if answer.startswith(b"HTTP/") else 408
        return 0
    finally:
        writer.close()


SLOW_SECONDS: Final = 100.0
Call = Callable[[BadCallers], Awaitable[int]]


@dataclass(frozen=True)
class Kind:
    """`rate`: calls a second in a row of its own; `beside`: in every other row."""

    call: Call
    rate: float = 5.0
    beside: float = 0.5
    at_once: int = 16


SLOW: Final[Mapping[str, Call]] = {
    "slow headers": slow_head,
    "slow bodies": slow_body,
    "silent connections": silent_connection,
}
KINDS: Final[Mapping[str, Kind]] = {
    "tiny temperature": Kind(tiny_temperature),
    "unload": Kind(unload),
    "unload by gRPC": Kind(unload_by_grpc),
    "huge query": Kind(huge_query, 0.4, 0.05),
    "body too large": Kind(too_large, 2, 0.1),
    "forged model name": Kind(forged_name),
    "forged fields": Kind(forged_fields),
    "strange headers": Kind(strange_headers),
    "many headers": Kind(many_headers, 2, 0.1),
    "quadratic JSON": Kind(quadratic, 2, 0.1),
    "10,000 rows": Kind(many_rows, 0.1, 0),
    "burst of connections": Kind(burst_of_connections, 2, 0.1),
    **{kind: Kind(call, 10, 0.2, at_once=200) for kind, call in SLOW.items()},
}
