"""A V2 server that answers by script, from the standard library alone: it starts in no time.

    --model_name NAME --http_port N        as every service of ours
    --route edge|cloud                     answers the annotated request, as HEM does in `mine`
    --forward URL                          asks there; 503 with an `error` when that fails
    --die CODE                             prints two lines and exits
    --late SECONDS                         loads for so long

GET /about gives its command line and environment.
"""

import argparse
import json
import os
import sys
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

parser = argparse.ArgumentParser()
parser.add_argument("--model_name", default="scripted")
parser.add_argument("--http_port", type=int, required=True)
parser.add_argument("--grpc_port", type=int)
parser.add_argument("--predictor_host")
parser.add_argument("--route")
parser.add_argument("--forward")
parser.add_argument("--die", type=int)
parser.add_argument("--late", type=float, default=0)
options = parser.parse_args()


def infer(request: dict) -> tuple[int, dict]:
    parameters = request.get("parameters") or {}
    if options.route:
        route = parameters.get("hem_prefer", options.route)
        return 200, {**request, "parameters": {**parameters, "hem_route": route, "hem_score": 0.3}}
    if options.forward:
        target = f"{options.forward}/v2/models/any/infer"
        forwarded = urllib.request.Request(target, json.dumps(request).encode())
        try:
            with urllib.request.urlopen(forwarded, timeout=5) as answer:
                return 200, json.load(answer)
        except OSError as error:
            return 503, {"error": f"upstream: {error}"}
    texts = request["inputs"][0]["data"]
    if "refuse" in texts:
        return 400, {"error": "refused by script"}
    answers = [f"{options.model_name} says {text}" for text in texts]
    output = {"name": "text_output", "shape": [len(texts)], "datatype": "BYTES", "data": answers}
    hem = {name: value for name, value in parameters.items() if name.startswith("hem_")}
    return 200, {
        "model_name": options.model_name,
        "parameters": {**hem, "served_by": options.model_name},
        "outputs": [output],
    }


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        known = self.path in {"/about", f"/v2/models/{options.model_name}/ready"}
        self._answer(200 if known else 404, {"argv": sys.argv[1:], "env": dict(os.environ)})

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._answer(*infer(request))

    def _answer(self, status: int, body: dict) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: object) -> None:
        print(f"{options.model_name}: {self.requestline}", flush=True)


class Server(ThreadingHTTPServer):
    request_queue_size = 128


if options.die is not None:
    print("about to fail\nmodel file is truncated", file=sys.stderr)
    sys.exit(options.die)
time.sleep(options.late)
Server(("127.0.0.1", options.http_port), Handler).serve_forever()
