"""A pod with a graph's router as KServe makes it, in namespaces of its own.

    unshare --mount --net python -m tests.e2e.router_pod ENTRYPOINT ARGS ENVIRONMENT HOSTS

ENTRYPOINT, ARGS and HOSTS are JSON lists, ENVIRONMENT an object. All of the file system is
read-only, no process has any capability, and each of HOSTS is a service on port 80 that answers
with the request, routed to the edge. Prints what was seen as a JSON object.
"""

import contextlib
import fcntl
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

PORT = 8080
GET_FLAGS, SET_FLAGS, UP = 0x8913, 0x8914, 0x1
CALLS: list[dict[str, Any]] = []


class Service(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        CALLS.append({"host": self.headers["Host"], "path": self.path, **self._passed()})
        answer = json.dumps({**request, "parameters": {"hem_route": "edge"}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def _passed(self) -> dict[str, str]:
        return {name.lower(): v for name, v in self.headers.items() if name.lower()[:2] == "x-"}

    def log_message(self, *args: object) -> None:
        pass


def make_pod(hosts: list[str]) -> None:
    """Loopback is up, `hosts` are this machine, and nothing can be written."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        flags = fcntl.ioctl(any_socket, GET_FLAGS, struct.pack("16sH14x", b"lo", 0))
        number = struct.unpack("16sH14x", flags)[1] | UP
        fcntl.ioctl(any_socket, SET_FLAGS, struct.pack("16sH14x", b"lo", number))
    with tempfile.NamedTemporaryFile("w") as names:
        names.write(f"127.0.0.1 localhost {' '.join(hosts)}\n")
        names.flush()
        subprocess.run(["mount", "--bind", names.name, "/etc/hosts"], check=True)
    for line in reversed(Path("/proc/self/mounts").read_text().splitlines()):
        place, kind = line.split()[1:3]
        if kind not in ("proc", "sysfs", "devpts"):
            read_only = ["mount", "-o", "remount,ro,bind", place]
            subprocess.run(read_only, capture_output=True, check=place == "/")


def status(path: str) -> int:
    try:
        with urllib.request.urlopen(f"http://localhost:{PORT}{path}", timeout=5) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def written(*folders: str) -> list[str]:
    """Those in which a file can be made."""
    done = []
    for folder in folders:
        with contextlib.suppress(OSError), open(f"{folder}/file", "w"):
            done.append(folder)
    return done


def wait_for(expected: int) -> None:
    deadline = time.monotonic() + 60
    while status("/readyz") != expected and time.monotonic() < deadline:
        time.sleep(0.05)


def main() -> None:
    entrypoint, arguments, environment, hosts = (json.loads(word) for word in sys.argv[1:])
    make_pod(hosts)
    service = ThreadingHTTPServer(("127.0.0.1", 80), Service)
    threading.Thread(target=service.serve_forever, daemon=True).start()
    no_rights = ["setpriv", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"]
    router = subprocess.Popen(
        [*no_rights, *entrypoint, *arguments], env=environment, cwd="/", stdout=subprocess.PIPE
    )
    seen: dict[str, Any] = {"written": written("/", "/tmp", "/var/tmp", os.path.expanduser("~"))}
    wait_for(200)
    seen["ready"] = status("/readyz")
    rights = Path(f"/proc/{router.pid}/status").read_text().partition("CapEff:")[2].split()[0]
    seen["capabilities"] = int(rights, 16)
    headers = {"X-Request-Id": "r-1", "X-Other": "o"}
    request = urllib.request.Request(
        f"http://localhost:{PORT}/", json.dumps({"id": "1", "inputs": []}).encode(), headers
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        seen["answer"] = json.load(answer)
    began = time.monotonic()
    router.send_signal(signal.SIGTERM)
    wait_for(503)
    seen["leaving"] = status("/readyz")
    seen["returncode"] = router.wait(30)
    seen["seconds"] = time.monotonic() - began
    print(json.dumps({**seen, "calls": CALLS}))


if __name__ == "__main__":
    main()
