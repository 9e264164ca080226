"""An OpenAI-compatible server that streams and costs little: `max_tokens` events, `seed` a second.

A seed of 0, or none, is as fast as they can be written. Each event says when it left, in its text.

python -m tests.benchmarks.trivial_stream PORT
"""

import asyncio
import itertools
import json
import sys
import time
from typing import Any

import uvicorn

HEADERS = [(b"content-type", b"text/event-stream")]
START = {"type": "http.response.start", "status": 200, "headers": HEADERS}
ABOUT = '"id":"c","object":"chat.completion.chunk","created":1,"model":"m"'
LAST = (
    f'data: {{{ABOUT},"choices":[{{"index":0,"delta":{{}},"finish_reason":"stop"}}]}}\n\n'
    "data: [DONE]\n\n"
).encode()
WHOLE = json.dumps(
    {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "hello"},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    }
).encode()

# Streams of real callers are not in step; these are apart as evenly as can be (golden ratio).
PHASES = (place * 0.618034 % 1 for place in itertools.count())


def event(text: str) -> bytes:
    delta = f'{{"index":0,"delta":{{"content":"{text}"}},"finish_reason":null}}'
    return f'data: {{{ABOUT},"choices":[{delta}]}}\n\n'.encode()


async def app(scope: Any, receive: Any, send: Any) -> None:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    asked = json.loads(body or b"{}")
    if not asked.get("stream"):
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": WHOLE})
        return
    await send(START)
    pause = 1 / asked["seed"] if asked.get("seed") else 0.0
    due = time.perf_counter() + pause * next(PHASES)
    for _ in range(asked.get("max_tokens") or 1):
        if pause:
            due += pause
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
        part = {"type": "http.response.body", "body": event(f"{time.perf_counter():.6f} ")}
        await send({**part, "more_body": True})
    await send({"type": "http.response.body", "body": LAST})


if __name__ == "__main__":
    uvicorn.run(
        app,
        port=int(sys.argv[1]),
        lifespan="off",
        log_level="warning",
        access_log=False,
        timeout_keep_alive=120,
        backlog=4096,
        loop="uvloop",
    )
