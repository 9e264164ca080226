"""A first request to a stack that has just become ready: a question, or a blank tensor."""

import asyncio
import json
import math
import shlex
from typing import Any

from inferencegraph.local.plan import Component, Plan
from predictors.contract import TEXT_INPUT, text_request
from predictors.embedded import PAIRS, PREFIX
from predictors.errors import HEMError
from predictors.upstream.attempt import as_json, attempt
from predictors.upstream.client import Client, build_client

EXAMPLE_QUERY = "What is 12 + 7?"
# Of the long pair, which knows no sums alone.
LONG_EXAMPLE_QUERY = "Shift by 3 seven times: ESOGAWUX."
_LONG = {f"{PREFIX}{name}" for name in PAIRS["long"]}
# A request with more numbers than that isn't one for a terminal.
LARGEST_EXAMPLE = 256
METADATA_SECONDS = 2.0


def chats(plan: Plan) -> list[str]:
    """Lines for a terminal: how each gateway is called, and where its page is."""
    lines = []
    for component in plan.components:
        if component.gateway:
            url = f"{component.url}/v1"
            lines += [
                f"hem: gateway {url}  (OpenAI's API; model {component.gateway})",
                f"  hem chat --url {url}",
                f'  openai.OpenAI(base_url="{url}", api_key="-")',
            ]
        if page := component.page:
            lines.append(f"hem: page {page}  (ask, watch, try thresholds)")
    return lines


async def suggestions(plan: Plan, url: str) -> list[str]:
    """Lines for a terminal, with a request that the first graph of `plan`, at `url`, answers.

    What a graph takes is read from the metadata of the models behind its steps. Mining and the
    uplink forward everything and always name text; a model that names other inputs decides. Where
    no model answers, it is text.
    """
    services = _services(plan)
    asked = [item for item in plan.components if item.service in services]
    async with build_client(METADATA_SECONDS) as client:
        answers = await asyncio.gather(*(_inputs(client, item) for item in asked))
    for component, inputs in zip(asked, answers, strict=True):
        if inputs and all(item["name"] != TEXT_INPUT for item in inputs):
            return _for_tensors(url, component, inputs)
    query = LONG_EXAMPLE_QUERY if any(map(_is_long, plan.components)) else EXAMPLE_QUERY
    return [f'hem ask "{query}" --url {url}', _curl(url, text_request([query]))]


def _is_long(component: Component) -> bool:
    return any(word.rpartition("=")[2] in _LONG for word in component.command)


def _services(plan: Plan) -> set[str]:
    """Those of the first graph; without a graph, the first InferenceService."""
    if not plan.graphs:
        return set(list(plan.infer_urls)[:1])
    nodes = plan.graphs[0]["spec"]["nodes"].values()
    steps = (step for node in nodes for step in node["steps"])
    return {step["serviceName"] for step in steps if step.get("serviceName")}


async def _inputs(client: Client, component: Component) -> list[dict[str, Any]]:
    """The inputs in a model's V2 metadata; empty where a server has no such metadata."""
    request = client.build_request("GET", _metadata_url(component))
    try:
        return await attempt(client, request, as_json(_described))
    except HEMError:
        return []


def _described(metadata: Any) -> list[dict[str, Any]]:
    return [{n: item[n] for n in ("name", "datatype", "shape")} for item in metadata["inputs"]]


def _metadata_url(component: Component) -> str:
    return f"{component.url}/v2/models/{component.service}"


def _for_tensors(url: str, component: Component, inputs: list[dict[str, Any]]) -> list[str]:
    types = ", ".join(f"{item['name']} {item['datatype']} {item['shape']}" for item in inputs)
    lines = [f"takes {types}; its model: curl -s {_metadata_url(component)}"]
    blank = [_blank(item) for item in inputs]
    if None not in blank:
        lines.append(_curl(url, {"inputs": blank}))
    return lines


def _blank(tensor: dict[str, Any]) -> dict[str, Any] | None:
    """Zeros, one row where rows are free; None where JSON has no such numbers, or they are too
    many."""
    shape = [1 if not i and length < 0 else length for i, length in enumerate(tensor["shape"])]
    numbers = tensor["datatype"].startswith(("INT", "UINT", "FP32", "FP64"))
    if not numbers or min(shape, default=1) < 1 or math.prod(shape) > LARGEST_EXAMPLE:
        return None
    return {**tensor, "shape": shape, "data": [0] * math.prod(shape)}


def _curl(url: str, request: dict[str, Any]) -> str:
    body = shlex.quote(json.dumps(request))
    return f"curl -s {url} -H 'content-type: application/json' -d {body}"
