"""What may leave, through the real steps of a graph: a budget that is used up, and a ledger that
can't be written, keep queries at the edge, which answers them."""

import json
import resource
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from predictors.upstream.ledger.verify import verify
from tests.conftest import ServerProcess, StartServer
from tests.e2e.hem_in_a_graph import Body, start, text, through_the_graph
from tests.e2e.scripted_model import ScriptedModel
from tests.predictors.upstream.ledger.reading import lines

pytestmark = pytest.mark.slow

REQUESTS = 3  # that may go to the cloud
READY = "/v2/models/qa-uplink/ready"


@pytest.fixture(scope="module")
def models() -> Iterator[tuple[ScriptedModel, ScriptedModel]]:
    with ScriptedModel("qa-edge") as edge, ScriptedModel("qa-cloud") as cloud:
        yield edge, cloud


def uplink_to(cloud: ScriptedModel, start_server: StartServer, path: Path) -> ServerProcess:
    given = ("--engine", "kserve", "--url", f"http://{cloud.host}", "--upstream_model", cloud.name)
    name = ("--model_name", "qa-uplink")
    return start_server("predictors", *name, *given, "--ledger", str(path), ready=READY)


def hem(start_server: StartServer, edge: ScriptedModel, **environment: str) -> ServerProcess:
    settings = {"HEM_ALGORITHM": "CloudOnly", **environment}
    server = start(start_server, "query", settings, edge)
    server.wait_ready("/v2/models/qa-hem/ready")
    return server


def told(answer: Body) -> tuple[str, str]:
    return answer["parameters"]["hem_route"], answer["parameters"]["hem_reason"]


async def test_a_budget_and_a_full_disk_keep_queries_at_the_edge(
    models: tuple[ScriptedModel, ScriptedModel], start_server: StartServer, tmp_path: Path
) -> None:
    edge, cloud = models
    path = tmp_path / "egress.jsonl"
    uplink = uplink_to(cloud, start_server, path)
    block = {"name": "BudgetGuard", "parameters": {"state": str(tmp_path / "budget.db")}}
    block["parameters"]["requests"] = str(REQUESTS)  # type: ignore[index]
    mining = hem(start_server, edge, HEM_GUARDS=json.dumps([block]))

    async def asked(query: str) -> Body:
        return await through_the_graph("query", mining, edge, uplink, text(query))

    assert told(await asked("one")) == ("cloud", "algorithm")
    assert len(cloud.requests) == 1
    # The disk is full: a limit of the size of files stands for it.
    limit = (path.stat().st_size, resource.RLIM_INFINITY)
    process = psutil.Process(uplink.process.pid)
    process.rlimit(psutil.RLIMIT_FSIZE, limit)
    degraded = await asked("two")
    assert told(degraded) == ("cloud", "algorithm")
    assert degraded["model_name"] == "qa-edge" and len(edge.requests) == 1
    assert len(cloud.requests) == 1
    process.rlimit(psutil.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert told(await asked("three")) == ("cloud", "algorithm")
    assert len(cloud.requests) == 2
    kept = await asked("four")
    assert told(kept) == ("edge", "BudgetGuard")
    assert len(cloud.requests) == 2
    sent = [row for row in lines(path, "intent") if row["method"] == "POST"]
    assert [row["decision"]["guards"] for row in sent] == ["BudgetGuard@1=clear"] * 2
    assert verify(path).open == 0
