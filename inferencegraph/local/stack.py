"""From manifests to a running stack: the services as processes, the graphs' routers in this one."""

import asyncio
import gc
import os
import socket
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Final

from inferencegraph.check.validate import refuse
from inferencegraph.local.backoff import Backoff
from inferencegraph.local.consequences import if_far_side_fails, if_gone, is_clouds
from inferencegraph.local.containers import OURS, with_own_images
from inferencegraph.local.far_sides import FarSides
from inferencegraph.local.observer import Death, Observer, death_notice
from inferencegraph.local.plan import Component, Plan, own_commands, plan
from inferencegraph.local.ports import claimed_ports, gateway_ports, hold_ports
from inferencegraph.local.process import ServiceProcess, Watchdog, exit_reason
from inferencegraph.local.selection import (
    chosen_graphs,
    jobs_hint,
    jobs_left_out,
    services_of,
)
from inferencegraph.read.documents import MANIFESTS
from inferencegraph.router.app import PROPAGATE_HEADERS, TRACING, create_app, patterns_from
from inferencegraph.router.server import GraphServer
from inferencegraph.spec.reading import read_objects
from predictors.errors import ConfigurationError, HEMError
from predictors.json_log import message_of
from predictors.upstream.attempt import attempt, unread
from predictors.upstream.client import Client, build_client
from predictors.upstream.probe import Told

EXAMPLE: Final = MANIFESTS / "answer-generation" / "mining-then-inference"
READY_TIMEOUT_SECONDS = 600.0
HEALTH_TIMEOUT: Final = 1.5
# A model that still loads logs each question whether it is ready, so they become rarer.
_FIRST_POLL_SECONDS, _LONGEST_POLL_SECONDS = 0.2, 1.0


class Stack:
    """Use as `async with Stack(...) as stack`: entered, every service and every graph answers;
    left, nothing of it runs any more. Its graphs give up a service that doesn't answer, nor tells
    its health within `health_timeout` seconds; 0: they wait, as KServe's router does.

    Entering raises ConfigurationError when a service dies, or isn't ready in time; what had been
    started is stopped by then. A service that dies later is reported to the observer, and the
    others go on; with `restart` it starts again while the stack is watched.
    """

    def __init__(
        self,
        plan: Plan,
        sockets: Sequence[socket.socket],
        observer: Observer,
        *,
        restart: bool = False,
        health_timeout: float = HEALTH_TIMEOUT,
    ) -> None:
        self.plan = plan
        self._observer = observer
        self._backoff = Backoff() if restart else None
        self._restarts: set[asyncio.Task[None]] = set()
        self._far_sides = FarSides(self._tell)
        self._processes: list[ServiceProcess] = []
        passed = patterns_from(os.environ) if PROPAGATE_HEADERS in os.environ else TRACING
        self._graphs = [
            GraphServer(
                create_app(
                    graph, plan.infer_urls.__getitem__, passed, health_timeout=health_timeout
                ),
                bound,
            )
            for graph, bound in zip(plan.graphs, sockets, strict=True)
        ]
        self._exits: dict[asyncio.Task[int], ServiceProcess] = {}
        self._watchdog: Watchdog | None = None

    @property
    def urls(self) -> list[str]:
        """Where to ask: each graph, or each InferenceService where there is no graph."""
        return [graph.url for graph in self._graphs] or list(self.plan.infer_urls.values())

    @property
    def gateways(self) -> dict[str, str]:
        """Site -> base URL of OpenAI's API there."""
        parts = self.plan.components
        return {part.gateway: f"{part.url}/v1" for part in parts if part.gateway}

    @property
    def pages(self) -> dict[str, str]:
        """Site -> URL of its gateway's page, where that is on."""
        parts = self.plan.components
        return {part.gateway: part.page for part in parts if part.gateway and part.page}

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
        self._far_sides.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stop()

    async def watch(self) -> None:
        """Reports every death; returns when no service is left, and none is to start again."""
        while self._exits or self._restarts:
            waited: set[asyncio.Task[Any]] = {*self._exits, *self._restarts}
            done, _ = await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            for task in done & set(self._exits):
                self._mourn(task)
            for restart in done & self._restarts:
                self._restarts.remove(restart)
                restart.result()

    def _mourn(self, task: "asyncio.Task[int]") -> None:
        process = self._buried(task)
        component = process.component
        reason = exit_reason(task.result(), process.tail)
        means = if_gone(self.plan, component)
        wait = self._backoff.died(component.name) if self._backoff else None
        self._observer.died(Death(component, reason, list(process.tail), means, wait))
        if wait is not None:
            self._restarts.add(asyncio.create_task(self._start_again(component, wait)))

    async def _start_again(self, component: Component, wait: float) -> None:
        """Returns when it is ready, or has died again."""
        await asyncio.sleep(wait)
        exit_ = await self._start(component)
        async with build_client(2.0) as client:
            ready = asyncio.create_task(self._becomes_ready(client, component))
            try:
                await asyncio.wait({exit_, ready}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                ready.cancel()

    async def _start_processes(self) -> None:
        self._watchdog = Watchdog()
        for component in self.plan.components:
            await self._start(component)

    async def _start(self, component: Component) -> "asyncio.Task[int]":
        """The task that ends when the process does."""
        assert self._watchdog is not None
        process = await ServiceProcess.start(component, self._line)
        self._processes.append(process)
        self._watchdog.watch(process.pid)
        exit_ = asyncio.create_task(process.wait())
        self._exits[exit_] = process
        if self._backoff:
            self._backoff.started(component.name)
        self._observer.started(component, process.pid)
        return exit_

    def _line(self, component: Component, text: str) -> None:
        self._far_sides.line(component, message_of(text))
        self._observer.line(component, text)

    def _tell(self, component: Component, said: Told) -> None:
        service = component.service
        who = "cloud" if is_clouds(self.plan, service) else said.upstream
        self._observer.far_side(component, who, said, if_far_side_fails(self.plan, component))

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
        self._far_sides.close()
        for task in (*self._exits, *self._restarts):
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
    observer: Observer,
    *,
    graph: str | None = None,
    port: int = 0,
    images: Sequence[str] = (),
    restart: bool = False,
    health_timeout: float = HEALTH_TIMEOUT,
    settings: Sequence[str] = (),
    router: str | None = None,
) -> AsyncIterator[Stack]:
    """The stack of the manifests in `paths` (none: the example), graphs from `port` on (0: any
    free ports). `restart`: services that die start again while the stack is watched. `settings`
    (SERVICE.NAME=VALUE) and `router` change the manifests.

    Everything that can be wrong with the manifests or the ports is found before a model starts.
    """
    read = read_objects(paths or [EXAMPLE])
    _note(observer, [str(each) for each in read.problems if each.severity == "warning"])
    documents = [document.content for document in read.documents]
    services = services_of(documents, paths)
    refuse(documents, read.documents)
    table = with_own_images(images)
    left_out = list(jobs_left_out(documents))
    _note(observer, [*own_commands(services, table), *left_out, *jobs_hint(left_out)])
    if settings or router is not None or any(map(OURS.fullmatch, os.environ)):
        # Imported only where it is needed: it brings the settings of all servers.
        from inferencegraph.local.overrides import overridden

        documents, notes = overridden(documents, table, settings, router, os.environ)
        _note(observer, notes)
    graphs = chosen_graphs(documents, graph)
    with ExitStack() as held:
        sockets = hold_ports(port, len(graphs) or (len(services) if port else 0), held)
        first = [bound.getsockname()[1] for bound in sockets]
        folder = Path(held.enter_context(TemporaryDirectory(prefix="hem-")))
        ports = claimed_ports(held)
        made = plan(documents, graphs, first, table, ports, gateway_ports(port, ports), folder)
        if not graphs:  # the services bind them themselves
            for bound in sockets:
                bound.close()
        bound_here = sockets if graphs else []
        async with Stack(
            made, bound_here, observer, restart=restart, health_timeout=health_timeout
        ) as stack:
            yield stack


def _note(observer: Observer, notes: Iterable[str]) -> None:
    for note in notes:
        observer.note(note)
