"""A server of a user's own, which says every query in capitals: the V2 contract for text, and
OpenAI's chats as the engines offer them.

python own_server.py --model_name NAME [--http_port 8080]
"""

import argparse
from typing import Any

import uvicorn
from fastapi import FastAPI


def app(name: str) -> FastAPI:
    made = FastAPI()

    @made.get("/v2/health/live")
    @made.get("/health")
    @made.get("/api/version")
    @made.get("/v1/models/{model}")
    @made.get("/v2/models/{model}/ready")
    def ready(model: str = name) -> dict[str, Any]:
        return {"name": model, "ready": True}

    @made.get("/v1/models")
    def models() -> dict[str, Any]:
        return {"object": "list", "data": [{"id": name, "object": "model"}]}

    @made.post("/v2/models/{model}/infer")
    def infer(model: str, body: dict[str, Any]) -> dict[str, Any]:
        (texts,) = [each["data"] for each in body["inputs"] if each["name"] == "text_input"]
        said = [text.upper() for text in texts]
        output = {"name": "text_output", "datatype": "BYTES", "shape": [len(said)], "data": said}
        return {
            "model_name": model,
            "id": "1",
            "outputs": [output],
            "parameters": {"served_by": model},
        }

    @made.post("/v1/chat/completions")
    def chat(body: dict[str, Any]) -> dict[str, Any]:
        message = {"role": "assistant", "content": body["messages"][-1]["content"].upper()}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return {
            "id": "1",
            "object": "chat.completion",
            "created": 1,
            "model": body["model"],
            "choices": [choice],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
        }

    return made


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--model_name", default="own")
    parser.add_argument("--http_port", type=int, default=8080)
    given, _ = parser.parse_known_args()
    uvicorn.run(app(given.model_name), port=given.http_port, log_level="warning")
