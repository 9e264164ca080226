"""A service that costs nothing: it answers every request with one annotated V2 request.

python -m tests.benchmarks.trivial_upstream PORT
"""

import sys
from typing import Any, Final

import uvicorn

BODY: Final = (
    b'{"id":"q-1","inputs":[{"name":"text_input","shape":[1],"datatype":"BYTES",'
    b'"data":["2+2=?"]}],"parameters":{"hem_route":"edge","hem_score":0.7}}'
)
HEADERS: Final = [
    (b"content-type", b"application/json"),
    (b"content-length", str(len(BODY)).encode()),
]


async def app(scope: Any, receive: Any, send: Any) -> None:
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": BODY})


if __name__ == "__main__":
    uvicorn.run(
        app,
        port=int(sys.argv[1]),
        lifespan="off",
        log_level="warning",
        access_log=False,
        timeout_keep_alive=120,
    )
