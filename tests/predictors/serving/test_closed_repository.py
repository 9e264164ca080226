"""Nobody unloads or loads a model over the API; probes tell the truth about what stands."""

from typing import Any

import grpc
import httpx
import pytest
from kserve.protocol.grpc.grpc_predict_v2_pb2 import (
    RepositoryModelLoadRequest,
    RepositoryModelUnloadRequest,
    ServerLiveRequest,
    ServerMetadataRequest,
)
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub

from predictors.contract import text_request
from tests.conftest import ServerProcess, StartServer


def still_answers(server: ServerProcess) -> None:
    assert httpx.get(f"{server.url}/v2/models/m/ready").status_code == 200
    assert httpx.get(f"{server.url}/v2/health/ready").status_code == 200
    answer = httpx.post(f"{server.url}/v2/models/m/infer", json=text_request(["x"]))
    assert answer.status_code == 200


@pytest.mark.parametrize("verb", ["unload", "load"])
@pytest.mark.parametrize("name", ["m", "other", "m%0aforged", "%C3%A9"])
@pytest.mark.parametrize("body", [b"", b"{}", b'{"parameters": {"unload_dependents": true}}'])
def test_over_rest_it_is_403_that_says_what_to_do(
    scripted: ServerProcess, verb: str, name: str, body: bytes
) -> None:
    url = f"{scripted.url}/v2/repository/models/{name}/{verb}"
    answer = httpx.post(url, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 403
    assert f"{verb}ed" in answer.json()["error"] and "InferenceService" in answer.json()["error"]
    still_answers(scripted)


@pytest.mark.parametrize("name", ["m", "other", ""])
async def test_over_grpc_it_is_permission_denied(scripted: ServerProcess, name: str) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{scripted.grpc_port}") as channel:
        stub: Any = GRPCInferenceServiceStub(channel)
        for call in (
            stub.RepositoryModelUnload(RepositoryModelUnloadRequest(model_name=name)),
            stub.RepositoryModelLoad(RepositoryModelLoadRequest(model_name=name)),
        ):
            with pytest.raises(grpc.aio.AioRpcError, match="InferenceService") as raised:
                await call
            assert raised.value.code() is grpc.StatusCode.PERMISSION_DENIED
        assert (await stub.ServerLive(ServerLiveRequest())).live
        assert "model_repository" not in str(await stub.ServerMetadata(ServerMetadataRequest()))
    still_answers(scripted)


def test_the_metadata_names_no_extension_that_is_closed(scripted: ServerProcess) -> None:
    assert httpx.get(f"{scripted.url}/v2").json()["extensions"] == []


def test_hem_is_closed_too(start_server: StartServer) -> None:
    hem = start_server(
        *("transformers_hem", "--model_name", "m"),
        env={"HEM_ALGORITHM": "EdgeOnly"},
        ready="/v2/models/m/ready",
    )
    for verb in ("unload", "load"):
        answer = httpx.post(f"{hem.url}/v2/repository/models/m/{verb}")
        assert answer.status_code == 403
    still_answers(hem)
