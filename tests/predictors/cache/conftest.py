import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from predictors.contract import text_request
from tests.conftest import ServerProcess, StartServer

Start = Callable[..., ServerProcess]


@pytest.fixture(scope="module")
def counting(start_server: StartServer) -> Start:
    """counting("--cache", "memory", name="m"): a live predictor with the counting engine."""

    def start(*options: str, name: str = "m", module: str = "counting") -> ServerProcess:
        arguments = ["--model_name", name, "--engine", "counting", *options]
        env = {"PREDICTOR_TEMPERATURE": "0"}
        return start_server(
            f"tests.predictors.cache.{module}",
            *arguments,
            env=env,
            ready=f"/v2/models/{name}/ready",
        )

    return start


def infer(server: ServerProcess, *texts: str, name: str = "m", **parameters: Any) -> dict[str, Any]:
    """The columns of the response, with its parameters; or `{"error": ...}`."""
    body = text_request(texts, parameters)
    url = f"{server.url}/v2/models/{name}/infer"
    response = httpx.post(url, json=body, timeout=30).json()
    if "error" in response:
        return dict(response)
    columns = {output["name"]: output["data"] for output in response["outputs"]}
    return {**columns, **response["parameters"]}


def answers(server: ServerProcess, *texts: str, **parameters: Any) -> list[str]:
    return list(infer(server, *texts, **parameters)["text_output"])


def metric(server: ServerProcess, name: str, **labels: str) -> float:
    """Of one line of /metrics; 0 where it isn't there yet."""
    wanted = {f'{label}="{value}"' for label, value in labels.items()}
    for line in httpx.get(f"{server.url}/metrics").text.splitlines():
        match = re.fullmatch(rf"{name}\{{(.*)\}} (\S+)", line)
        if match and wanted <= set(match[1].split(",")):
            return float(match[2])
    return 0.0
