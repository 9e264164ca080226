"""One HEM process between scripted models, called through the graph of its stage."""

from collections.abc import Mapping
from typing import Any, Protocol

from inferencegraph.build.graph import inference_then_mining, mining_then_inference
from tests.conftest import ServerProcess, StartServer
from tests.inferencegraph.router.graph_under_test import routing
from transformers_hem.algorithms.base import Stage

Body = dict[str, Any]


class Served(Protocol):
    """A model behind V2, scripted or a predictor of ours."""

    @property
    def host(self) -> str: ...


def text(*queries: str, **parameters: Any) -> Body:
    tensor = {"name": "text_input", "shape": [len(queries)], "datatype": "BYTES", "data": queries}
    return {"inputs": [tensor], "parameters": parameters}


def start(
    start_server: StartServer, stage: Stage, environment: Mapping[str, str], edge: Served
) -> ServerProcess:
    if stage == "query":
        return start_server("transformers_hem", "--model_name", "qa-hem", env=environment)
    target = ("--model_name", "qa-edge", "--predictor_host", edge.host)
    return start_server("transformers_hem", *target, env=environment)


async def through_the_graph(
    stage: Stage, hem: ServerProcess, edge: Served, cloud: Served, body: Body
) -> dict[str, Any]:
    make = mining_then_inference if stage == "query" else inference_then_mining
    graph = make("qa")
    urls = {
        "qa-hem": f"{hem.url}/v2/models/qa-hem/infer",
        "qa-edge": f"http://{edge.host}/v2/models/qa-edge/infer",
        "qa-uplink": f"http://{cloud.host}/v2/models/qa-uplink/infer",
    }
    if stage == "answer":
        urls["qa-edge"] = f"{hem.url}/v2/models/qa-edge/infer"
    for node in graph["spec"]["nodes"].values():
        for step in node["steps"]:
            if "serviceName" in step:
                step["serviceUrl"] = urls[step.pop("serviceName")]
    async with routing(graph) as client:
        response = await client.post("/", json=body)
    assert response.status_code == 200, response.text
    answered: dict[str, Any] = response.json()
    return answered
