"""A service that is always ready and that nobody calls: `hem up` ends when its last one has died,
and the soak replaces all the others."""

import argparse
from http.server import BaseHTTPRequestHandler, HTTPServer


class Ready(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        pass


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--http_port", type=int)
    parser.add_argument("--grpc_port", type=int)
    HTTPServer(("127.0.0.1", parser.parse_args().http_port), Ready).serve_forever()
