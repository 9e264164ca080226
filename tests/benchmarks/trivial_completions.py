"""An OpenAI-compatible server that costs nothing: every request gets the same chat completion.

python -m tests.benchmarks.trivial_completions PORT
"""

import sys
from typing import Any, Final

import uvicorn

from tests.conftest import ROOT

BODY: Final = (ROOT / "tests" / "data" / "openai_api" / "vllm_chat.json").read_bytes()
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
        backlog=4096,
    )
