import pytest

from tests.conftest import ServerProcess, StartServer


@pytest.fixture(scope="module")
def scripted(start_server: StartServer) -> ServerProcess:
    """A live predictor `m` with the scripted engine, 64 KiB body limit and greedy defaults."""
    arguments = ["--model_name", "m", "--engine", "scripted", "--max_body_bytes", "65536"]
    env = {"PREDICTOR_TEMPERATURE": "0"}
    return start_server(
        "tests.predictors.scripted", *arguments, env=env, ready="/v2/models/m/ready"
    )
