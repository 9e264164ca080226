"""From manifests to a running stack: the services as processes, the graphs' routers in this one."""

import asyncio
import gc
import random
import socket
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from inferencegraph.check.validate import refuse
from inferencegraph.local.containers import with_own_images
from inferencegraph.local.observer import Observer, death_notice
from inferencegraph.local.placement import LOOPBACK
from inferencegraph.local.plan import Component, Plan, plan
from inferencegraph.local.process import ServiceProcess, Watchdog, exit_reason
from inferencegraph.read.documents import MANIFESTS
from inferencegraph.read.kustomize import load
from inferencegraph.router.app import create_app
from inferencegraph.router.server import GraphServer, bind_port
from predictors.errors import ConfigurationError, HEMError, known
from predictors.upstream.attempt import attempt, unread
from predictors.upstream.client import Client, build_client

EXAMPLE: Final = MANIFESTS / "answer-generation" / "mining-then-inference"
READY_TIMEOUT_SECONDS = 600.0
# A model that still loads logs each question whether it is ready, so they become rarer.
_FIRST_POLL_SECONDS, _LONGEST_POLL_SECONDS = 0.2, 1.0
# Below the range from which Linux and macOS take the ports of outgoing connections: one of those
# could take a port between the moment it is chosen and the moment a slow server binds it.
_SERVICE_PORTS: Final = range(20_000, 30_000)


class Stack:
    """Use as `async with Stack(...) as stack`: entered, every service and every graph answers;
    left, nothing of it runs any more.

    Entering raises ConfigurationError when a service dies, or isn't ready in time; what had been
    started is stopped by then. A service that dies later is reported to the observer, and the
    others go on.
    """

    def __init__(self, plan: Plan, sockets: Sequence[socket.socket], observer: Observer) -> None:
        self.plan = plan
        self._observer = observer
        self._processes: list[ServiceProcess] = []
        self._graphs = [
            GraphServer(create_app(graph, plan.infer_urls.__getitem__), bound)
            for graph, bound in zip(plan.graphs, sockets, strict=True)
        ]
        self._exits: dict[asyncio.Task[int], ServiceProcess] = {}
        self._watchdog: Watchdog | None = None

    @property
    def urls(self) -> list[str]:
        """Where to ask: each graph, or each InferenceService where there is no graph."""
        return [graph.url for graph in self._graphs] or list(self.plan.infer_urls.values())

    async def __aenter__(self) -> "Stack":
        try:
            await self._start_processes()
            await self._until_ready()
            for graph in self._graphs:
                await graph.start()
            # What start-up has loaded stays; collecting it again would only hold up queries.
            gc.freeze()
        except BaseException:
            await self._stop()
            raise
        finally:
            self._observer.loaded()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stop()

    async def watch(self) -> None:
        """Reports every death; returns when no service is left."""
        while self._exits:
            done, _ = await asyncio.wait(self._exits, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                process = self._buried(task)
                reason = exit_reason(task.result(), process.tail)
                self._observer.died(process.component, reason, list(process.tail))

    async def _start_processes(self) -> None:
        self._watchdog = Watchdog()
        for component in self.plan.components:
            process = await ServiceProcess.start(component, self._observer.line)
            self._processes.append(process)
            self._watchdog.watch(process.pid)
            self._exits[asyncio.create_task(process.wait())] = process
            self._observer.started(process.component, process.pid)

    async def _until_ready(self) -> None:
        async with build_client(2.0) as client:
            waiting = {
                asyncio.create_task(self._becomes_ready(client, item)): item
                for item in self.plan.components
            }
            try:
                await self._all_or_first_death(waiting)
            finally:
                for task in waiting:
                    task.cancel()

    async def _all_or_first_death(self, waiting: dict[asyncio.Task[None], Component]) -> None:
        deadline = time.monotonic() + READY_TIMEOUT_SECONDS
        pending: set[asyncio.Task[Any]] = set(waiting)
        while pending:
            done, _ = await asyncio.wait(
                pending | set(self._exits),
                timeout=max(0.0, deadline - time.monotonic()),
                return_when=asyncio.FIRST_COMPLETED,
            )
            for task in done & set(self._exits):
                process = self._buried(task)
                reason = exit_reason(task.result(), process.tail)
                notice = death_notice(process.component, reason, process.tail)
                raise ConfigurationError(f"not ready: {notice}")
            if not done:
                late = ", ".join(waiting[task].name for task in waiting if not task.done())
                raise ConfigurationError(f"not ready after {READY_TIMEOUT_SECONDS:.0f} s: {late}")
            for task in done & pending:
                task.result()
            pending -= done

    async def _becomes_ready(self, client: Client, component: Component) -> None:
        began, pause = time.monotonic(), _FIRST_POLL_SECONDS
        while not await _answers(client, component.url + component.ready_path):
            await asyncio.sleep(pause)
            pause = min(pause * 1.2, _LONGEST_POLL_SECONDS)
        self._observer.ready(component, time.monotonic() - began)

    def _buried(self, task: asyncio.Task[int]) -> ServiceProcess:
        process = self._exits.pop(task)
        assert self._watchdog is not None
        self._watchdog.forget(process.pid)
        return process

    async def _stop(self) -> None:
        for task in self._exits:
            task.cancel()
        # All at once: a query under way fails with its service, and no longer holds its graph up.
        graphs = [graph.stop() for graph in self._graphs]
        await asyncio.gather(*graphs, *(process.stop() for process in self._processes))
        if self._watchdog is not None:
            for process in self._exits.values():
                self._watchdog.forget(process.pid)
            self._watchdog.close()


async def _answers(client: Client, url: str) -> bool:
    try:
        return await attempt(client, client.build_request("GET", url), unread)
    except HEMError:
        return False


@asynccontextmanager
async def running(
    paths: Sequence[Path],
    graph: str | None,
    port: int,
    images: Sequence[str],
    observer: Observer,
) -> AsyncIterator[Stack]:
    """The stack of the manifests in `paths` (none: the example), graphs from `port` on (0: any
    free ports).

    Everything that can be wrong with the manifests or the ports is found before a model starts.
    """
    documents = [document for path in paths or [EXAMPLE] for document in load(path)]
    refuse(documents)
    graphs = chosen_graphs(documents, graph)
    sockets = bind_graph_ports(port, len(graphs))
    try:
        taken = [bound.getsockname()[1] for bound in sockets]
        made = plan(documents, graphs, taken, with_own_images(images), free_ports())
        async with Stack(made, sockets, observer) as stack:
            yield stack
    finally:
        for bound in sockets:
            bound.close()


def chosen_graphs(documents: Sequence[dict[str, Any]], name: str | None) -> list[dict[str, Any]]:
    """All InferenceGraphs, or the one called `name`."""
    graphs = [document for document in documents if document["kind"] == "InferenceGraph"]
    chosen = [graph for graph in graphs if name in (None, graph["metadata"]["name"])]
    if name is not None and not chosen:
        names = [graph["metadata"]["name"] for graph in graphs]
        raise ConfigurationError(f"unknown graph {name!r}; {known(name, names)}")
    return chosen


def free_ports() -> Iterator[int]:
    """Ports on which nothing listens; each comes once."""
    for port in random.sample(_SERVICE_PORTS, len(_SERVICE_PORTS)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("", port))
            except OSError:
                continue
        yield port


def bind_graph_ports(first: int, count: int) -> list[socket.socket]:
    """Sockets on `first`, `first + 1`, ... (any free ones for 0): bound, so that no other program
    takes them while the models load, and not listening, so that no client waits either."""
    sockets: list[socket.socket] = []
    try:
        for offset in range(count):
            sockets.append(bind_port(LOOPBACK, first + offset if first else 0))
    except BaseException:
        for bound in sockets:
            bound.close()
        raise
    return sockets
