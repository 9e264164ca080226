"""What real clients send over REST: bodies without a type, compressed ones, versions, HEAD."""

import base64
import functools
import gzip
import json
import subprocess
import zlib
from typing import Any

import httpx
import numpy as np
import orjson
import pytest
import tritonclient.http as triton

from predictors.contract import text_request
from tests.conftest import ServerProcess

BODY = json.dumps(text_request(["hi"])).encode()
LIMIT = 65_536
packed = functools.partial(gzip.compress, mtime=0)  # a test's name has no time in it


def post(server: ServerProcess, path: str = "/v2/models/m/infer", **kwargs: Any) -> httpx.Response:
    return httpx.post(server.url + path, timeout=10, **kwargs)


def text_of(response: httpx.Response) -> str:
    assert response.status_code == 200, response.text
    return str(response.json()["outputs"][0]["data"][0])


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "application/x-www-form-urlencoded",
        "text/plain; charset=utf-8",
        "application/octet-stream",
        "text/json",
        "Application/JSON",
        "application/vnd.api+json",
        "",
        "*/*",
    ],
)
def test_a_body_is_json_whatever_its_type_says(
    scripted: ServerProcess, content_type: str | None
) -> None:
    headers = {} if content_type is None else {"content-type": content_type}
    assert text_of(post(scripted, content=BODY, headers=headers)) == "HI"


def test_a_byte_order_mark_is_no_part_of_json(scripted: ServerProcess) -> None:
    assert text_of(post(scripted, content=b"\xef\xbb\xbf" + BODY)) == "HI"


def test_curls_default_type(scripted: ServerProcess) -> None:
    url = f"{scripted.url}/v2/models/m/infer"
    said = subprocess.run(["curl", "-s", url, "-d", BODY.decode()], capture_output=True, check=True)
    assert json.loads(said.stdout)["outputs"][0]["data"] == ["HI"]


def bare_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize(
    ("encoding", "content"),
    [
        ("gzip", packed(BODY)),
        ("x-gzip", packed(BODY)),
        ("GZIP", packed(BODY[:9]) + packed(BODY[9:])),
        ("deflate", zlib.compress(BODY)),
        ("deflate", bare_deflate(BODY)),
        ("identity", BODY),
        ("deflate, gzip", packed(zlib.compress(BODY))),
    ],
)
def test_a_compressed_body_is_inflated(
    scripted: ServerProcess, encoding: str, content: bytes
) -> None:
    assert text_of(post(scripted, content=content, headers={"content-encoding": encoding})) == "HI"


@pytest.mark.parametrize(
    ("encoding", "content", "status", "fault"),
    [
        ("br", BODY, 415, "'br' is not known here; send gzip, deflate"),
        ("zstd", BODY, 415, "'zstd' is not known"),
        ("gzip, br", BODY, 415, "'br' is not known"),
        ("gzip", BODY, 400, "not valid gzip"),
        ("deflate", b"\x00\x01\x02", 400, "not valid deflate"),
        ("gzip", packed(BODY)[:-9], 400, "ends too early"),
        ("gzip", packed(BODY) + b"more", 400, "not valid gzip"),
        ("deflate", zlib.compress(BODY) + b"more", 400, "not valid deflate"),
        ("gzip", packed(bytes(50_000_000)), 413, "once inflated"),
        ("gzip", packed(bytes(LIMIT // 2 + 1)) * 2, 413, "once inflated"),
        ("deflate, gzip", packed(zlib.compress(bytes(50_000_000))), 413, "once inflated"),
    ],
)
def test_what_does_not_inflate_is_refused(
    scripted: ServerProcess, encoding: str, content: bytes, status: int, fault: str
) -> None:
    refused = post(scripted, content=content, headers={"content-encoding": encoding})
    assert refused.status_code == status
    assert fault in refused.json()["error"]
    assert text_of(post(scripted, content=BODY)) == "HI"


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("compression", [None, "gzip", "deflate"])
@pytest.mark.parametrize("version", ["", "1", "v2"])
def test_tritonclient(
    scripted: ServerProcess, binary: bool, compression: str | None, version: str
) -> None:
    with triton.InferenceServerClient(f"127.0.0.1:{scripted.port}") as client:
        query = triton.InferInput("text_input", [1], "BYTES")
        query.set_data_from_numpy(np.array(["hi"], dtype=np.object_), binary_data=binary)
        answer = client.infer(
            "m",
            [query],
            model_version=version,
            request_compression_algorithm=compression,
            parameters={"max_tokens": 9, "temperature": 0.0},
        )
        assert list(answer.as_numpy("text_output")) == [b"HI"]
        assert client.is_model_ready("m", version)
        assert client.get_model_metadata("m", version)["name"] == "m"


@pytest.mark.parametrize(
    ("parameters", "answer"),
    [
        ({"stop": ["x", "y"], "max_tokens": 3}, "WOR"),
        ({"stop": [], "max_tokens": 3}, "WOR"),
        ({"stop": None, "max_tokens": 3}, "WOR"),
        ({"temperature": None, "top_p": None, "seed": None}, "WORD"),
        ({"hem_prefer": None, "anything": None}, "WORD"),
        (None, "WORD"),
    ],
)
@pytest.mark.parametrize("binary", [False, True])
def test_lists_of_stop_strings_and_nulls(
    scripted: ServerProcess, parameters: Any, answer: str, binary: bool
) -> None:
    request = {**text_request(["word"]), "id": None, "outputs": None, "parameters": parameters}
    request["inputs"][0]["parameters"] = {"content_type": None}
    content = orjson.dumps(request)
    headers = {"inference-header-content-length": str(len(content))} if binary else {}
    assert text_of(post(scripted, content=content, headers=headers)) == answer


@pytest.mark.parametrize("stop", [[""], [1], ["x"] * 17, [["x"]], [None], '["\\ud800"]'])
def test_other_lists_of_stop_strings_are_explained(scripted: ServerProcess, stop: Any) -> None:
    refused = post(scripted, json={**text_request(["word"]), "parameters": {"stop": stop}})
    assert refused.status_code == 400
    assert "stop must be a string, or a JSON array of up to 16" in refused.json()["error"]


def test_mlserver_writes_nulls_and_base64(scripted: ServerProcess) -> None:
    """As its `InferenceRequest(...).dict()` does."""
    encoded = [base64.b64encode(text.encode()).decode() for text in ("grüß", "two")]
    for shape, data in (([2], encoded), ([2, 1], [[text] for text in encoded])):
        tensor = {
            "name": "text_input",
            "shape": shape,
            "datatype": "BYTES",
            "parameters": {"content_type": "base64", "headers": None},
            "data": data,
        }
        request = {"id": None, "parameters": None, "inputs": [tensor], "outputs": None}
        assert post(scripted, json=request).json()["outputs"][0]["data"] == ["GRÜSS", "TWO"]
    tensor["data"] = ["not base64!"]
    refused = post(scripted, json={"inputs": [{**tensor, "shape": [1]}]})
    assert refused.status_code == 400
    assert "'not base64!' is not base64" in refused.json()["error"]


def test_other_content_types_of_mlserver_are_plain_text(scripted: ServerProcess) -> None:
    request = text_request(["aGk="])
    request["inputs"][0]["parameters"] = {"content_type": "str"}
    assert text_of(post(scripted, json=request)) == "AGK="


@pytest.mark.parametrize("version", ["1", "2", "latest"])
def test_a_version_is_the_same_model(scripted: ServerProcess, version: str) -> None:
    path = f"/v2/models/m/versions/{version}"
    assert text_of(post(scripted, f"{path}/infer", content=BODY)) == "HI"
    assert httpx.get(f"{scripted.url}{path}/ready").json() == {"name": "m", "ready": True}
    assert httpx.get(scripted.url + path).json() == httpx.get(f"{scripted.url}/v2/models/m").json()
    unknown = post(scripted, f"/v2/models/nix/versions/{version}/infer", content=BODY)
    assert unknown.status_code == 404


@pytest.mark.parametrize(
    "path",
    ["/v2/health/live", "/v2/health/ready", "/v2/models/m/ready", "/v2/models/m/versions/1/ready",
     "/v2/models/m", "/v2", "/"],
)  # fmt: skip
def test_head_is_get_without_its_body(scripted: ServerProcess, path: str) -> None:
    head, get = httpx.head(scripted.url + path), httpx.get(scripted.url + path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(get.content))
    assert httpx.head(f"{scripted.url}/v2/models/nix/ready").status_code == 404


def test_nan_is_no_json(scripted: ServerProcess) -> None:
    refused = post(scripted, content=BODY.replace(b'["hi"]', b"[NaN]"))
    assert refused.status_code == 400
    assert refused.json()["error"].endswith("NaN and Infinity are no numbers of JSON")
