"""Runs a request through a graph's nodes, as KServe's router does (its cmd/router/main.go).

Faithful also where KServe surprises: a Sequence step whose condition is false ends its node with
status 200, an unknown node is an "invalid route type", an inner node's failure is always 500.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from inferencegraph.router import bodies
from inferencegraph.router.conditions import Condition
from inferencegraph.router.spec import GraphSpec, Node, Step
from inferencegraph.router.step import GraphFailure, Headers, NoRouteMatched, Reply
from predictors.errors import ConfigurationError

# A request's body and headers, and whether the answer is the whole graph's: nothing comes after it
# that could need its body, so an event stream may be passed on as it comes.
Call = Callable[[bytes, Headers, bool], Awaitable[Reply]]


@dataclass(frozen=True, slots=True)
class BoundStep:
    """A step whose target can be called; `key` is what an Ensemble merges its answer under."""

    key: str
    call: Call
    condition: Condition | None
    weight: int
    hard: bool
    takes_response: bool
    maps_predictions: bool


Steps = Sequence[BoundStep]


def bind(spec: GraphSpec, service: Callable[[Step], Call]) -> Call:
    """The root node, ready to be called; `service` gives the call of a step that calls a service.

    Raises ConfigurationError naming node and step for a condition that can't be evaluated here.
    """
    nodes: dict[str, Call] = {}
    for name, node in spec.nodes.items():
        positions = range(len(node.steps))
        steps = [_bound(name, node, position, nodes, service) for position in positions]
        run = _ROUTER_TYPES.get(node.router_type)
        nodes[name] = partial(run, steps) if run else partial(_unroutable, node.router_type)
    return _node_call(nodes, "root")


def _bound(
    name: str, node: Node, position: int, nodes: Mapping[str, Call], service: Callable[[Step], Call]
) -> BoundStep:
    step = node.steps[position]
    # In a Sequence an empty condition tests nothing; in a Switch it is a path like any other.
    is_tested = node.router_type == "Switch" or bool(step.condition)
    try:
        return BoundStep(
            key=step.name or str(position),
            call=_node_call(nodes, step.node_name) if step.node_name else service(step),
            condition=Condition(step.condition) if is_tested else None,
            weight=step.weight or 0,
            hard=step.dependency == "Hard",
            takes_response=step.data == "$response" and position > 0,
            maps_predictions=step.map_predictions_to_instances,
        )
    except ConfigurationError as error:
        raise ConfigurationError(
            f"node {name!r}, step {step.name or position!r}: {error}"
        ) from None


def _node_call(nodes: Mapping[str, Call], name: str) -> Call:
    """Looks the node up when it is called: a graph may name nodes that come later, or never."""

    async def call(body: bytes, headers: Headers, last: bool) -> Reply:
        return await nodes.get(name, _MISSING)(body, headers, last)

    return call


async def _inner(step: BoundStep, body: bytes, headers: Headers, last: bool) -> Reply:
    try:
        return await step.call(body, headers, last)
    except NoRouteMatched as error:
        raise GraphFailure(str(error)) from error


async def _splitter(steps: Steps, body: bytes, headers: Headers, last: bool) -> Reply:
    point = random.randrange(100)
    for step in steps:
        point -= step.weight
        if point < 0:
            return await _inner(step, body, headers, last)
    raise GraphFailure("no route was selected by the splitter")


async def _switch(steps: Steps, body: bytes, headers: Headers, last: bool) -> Reply:
    if bodies.is_json(body):
        for step in steps:
            if step.condition is not None and step.condition.holds(body):
                return await _inner(step, body, headers, last)
    raise NoRouteMatched("None of the routes matched with the switch condition")


async def _sequence(steps: Steps, body: bytes, headers: Headers, last: bool) -> Reply:
    if not steps:
        raise GraphFailure("the Sequence has no steps")
    reply = Reply(200, b"")
    for step in steps:
        request = reply.body if step.takes_response else body
        if step.condition is not None:
            if not bodies.is_json(reply.body):
                raise GraphFailure("invalid response")
            if not step.condition.holds(reply.body):
                return Reply(200, reply.body, reply.failure)
        if step.maps_predictions:
            request = _predictions_to_instances(request)
        failure = reply.failure
        reply = await _inner(step, request, headers, last and step is steps[-1])
        if failure and not reply.failure:
            reply = replace(reply, failure=failure)
        if step.hard and not reply.success:
            break
    return reply


async def _ensemble(steps: Steps, body: bytes, headers: Headers, last: bool) -> Reply:
    """All steps at once; the first failure ends it, and with it the calls still under way. It needs
    the whole of each answer, `last` or not."""
    tasks = [asyncio.create_task(_merged(step, body, headers)) for step in steps]
    try:
        merged: dict[str, Any] = {}
        for step, task in zip(steps, tasks, strict=True):
            await _done_or_any_failed(task, tasks)
            status, answer = task.result()
            if step.hard and not 200 <= status <= 299:
                return Reply(status, bodies.dumps(answer))
            merged[step.key] = answer
        return Reply(200, bodies.dumps(merged))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _unroutable(router_type: str, body: bytes, headers: Headers, last: bool) -> Reply:
    raise GraphFailure(f"invalid route type: {router_type}")


async def _merged(step: BoundStep, body: bytes, headers: Headers) -> tuple[int, Any]:
    """A step's status and its answer, which has to be a JSON object (or null)."""
    reply = await _inner(step, body, headers, last=False)
    try:
        answer = bodies.loads(reply.body)
    except ValueError as error:
        raise GraphFailure(f"step {step.key!r} of an Ensemble: {error}") from None
    if answer is not None and not isinstance(answer, dict):
        raise GraphFailure(f"step {step.key!r} of an Ensemble answered JSON that is not an object")
    return reply.status, answer


async def _done_or_any_failed(
    task: "asyncio.Task[Any]", tasks: Sequence["asyncio.Task[Any]"]
) -> None:
    pending = {item for item in tasks if not item.done()}
    for item in set(tasks) - pending:
        item.result()
    while not task.done():
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        for item in done:
            item.result()


def _predictions_to_instances(body: bytes) -> bytes:
    """A V1 answer as the next V1 request; anything without predictions stays as it is."""
    try:
        fields = bodies.loads(body)
    except ValueError:
        return body
    if not isinstance(fields, dict):
        return body
    # Go matches field names whatever their case, and the last one wins.
    lowered = {name.lower(): value for name, value in fields.items()}
    predictions, instances = lowered.get("predictions"), lowered.get("instances")
    if not isinstance(predictions, list) or not predictions:
        return body
    if not isinstance(instances, list | None):
        return body
    return bodies.dumps({"instances": predictions})


_ROUTER_TYPES: Final[Mapping[str, Callable[[Steps, bytes, Headers, bool], Awaitable[Reply]]]] = {
    "Sequence": _sequence,
    "Splitter": _splitter,
    "Ensemble": _ensemble,
    "Switch": _switch,
}
_MISSING: Final[Call] = partial(_unroutable, "")
