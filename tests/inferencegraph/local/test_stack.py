"""`hem up` on scripted services: readiness, outages, and what is left when it ends."""

import contextlib
import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import yaml

from inferencegraph.build.graph import mining_then_inference
from tests.conftest import free_port
from tests.inferencegraph.running_hem import HEM, RunningHem, hem, still_there
from tests.scripted_api import ScriptedAPI

SCRIPT = Path(__file__).parents[1] / "router/scripted_service.py"
IMAGE = f"scripted={sys.executable} {SCRIPT}"


def service(name: str, *arguments: str) -> dict[str, Any]:
    container = {
        "name": "kserve-container",
        "image": "scripted",
        "args": ["--model_name", name, *arguments],
        "env": [{"name": "PROTOCOL", "value": "v2"}],
    }
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": name},
        "spec": {"predictor": {"containers": [container]}},
    }


def written(folder: Path, *documents: dict[str, Any]) -> Path:
    path = folder / "manifests.yaml"
    path.write_text(yaml.safe_dump_all(documents))
    return path


@pytest.fixture(scope="module")
def manifests(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(
        tmp_path_factory.mktemp("manifests"),
        service("qa-edge"),
        service("qa-cloud"),
        service("qa-hem", "--route=edge"),
        service("qa-uplink", "--forward=http://qa-cloud-predictor.default"),
        mining_then_inference("qa"),
    )


@pytest.fixture
def running(manifests: Path) -> Iterator[RunningHem]:
    with RunningHem(["-f", str(manifests), "--image", IMAGE, "--no-restart"]) as running:
        yield running


def test_the_graph_answers_from_the_side_that_was_chosen(running: RunningHem) -> None:
    body = running.ask("hello").json()
    assert body["outputs"][0]["data"] == ["qa-edge says hello"]
    assert body["parameters"]["hem_route"] == "edge"
    cloud = running.ask("hello", hem_prefer="cloud").json()
    assert cloud["outputs"][0]["data"] == ["qa-cloud says hello"]
    assert cloud["parameters"]["served_by"] == "qa-cloud"


def test_a_service_that_dies_is_reported_and_the_edge_stands_in(running: RunningHem) -> None:
    running.ask("last words", hem_prefer="cloud")
    running.kill("qa-cloud")
    died = running.wait_for("died")
    assert (died["name"], died["reason"]) == ("qa-cloud", "signal SIGKILL")
    assert (died["means"], died["restart_seconds"]) == ("the edge answers", None)
    assert "POST" in died["last_lines"][-1]
    degraded = running.ask("hello", hem_prefer="cloud")
    assert degraded.status_code == 200
    assert degraded.json()["parameters"]["served_by"] == "qa-edge"


def test_a_service_that_dies_starts_again_with_a_pause_that_grows(manifests: Path) -> None:
    with RunningHem(["-f", str(manifests), "--image", IMAGE]) as running:
        pauses = []
        for _ in range(2):
            running.kill("qa-cloud")
            pauses.append(running.wait_for("died")["restart_seconds"])
            degraded = running.ask("hello", hem_prefer="cloud").json()
            assert degraded["parameters"]["served_by"] == "qa-edge"
            running.pids["qa-cloud"] = running.wait_for("started")["pid"]
            assert running.wait_for("ready")["name"] == "qa-cloud"
            answer = running.ask("hello", hem_prefer="cloud").json()
            assert answer["parameters"]["served_by"] == "qa-cloud"
        assert pauses == [5, 10]
        family = running.family()
        assert running.stop() < 5
    assert still_there(family) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_no_process_behind(running: RunningHem, number: signal.Signals) -> None:
    family = running.family()
    assert len(family) >= 5
    assert running.stop(number) < 5
    assert running.process.returncode == 0
    assert still_there(family) == []


def test_not_even_a_killed_hem_leaves_services_behind(running: RunningHem) -> None:
    family = running.family()
    running.stop(signal.SIGKILL)
    assert still_there(family) == []


def test_hem_ends_when_no_service_is_left(running: RunningHem) -> None:
    for name in running.pids:
        running.kill(name)
    running.process.wait(10)
    assert running.process.returncode == 2
    assert "no service is left" in running.errors()


def test_a_service_that_dies_before_it_is_ready_ends_everything(tmp_path: Path) -> None:
    broken = written(tmp_path, service("good"), service("broken", "--die=4"))
    result = hem("up", "-f", str(broken), "--image", IMAGE, "--port", "0")
    assert result.returncode == 2
    assert "hem: error: not ready: broken died: exit code 4; its last lines:" in result.stderr
    assert "model file is truncated" in result.stderr
    assert "Traceback" not in result.stderr


def test_without_a_graph_each_service_is_ready_by_itself(tmp_path: Path) -> None:
    path = written(tmp_path, service("only"))
    with RunningHem(["-f", str(path), "--image", IMAGE]) as running:
        assert running.url.endswith("/v2/models/only/infer")
        assert running.ask("hello").json()["outputs"][0]["data"] == ["only says hello"]


def test_several_graphs_count_their_ports_up(tmp_path: Path) -> None:
    services = [service(f"qa-{part}") for part in ("edge", "hem", "uplink")]
    graphs = [mining_then_inference("qa"), mining_then_inference("qa")]
    graphs[1]["metadata"]["name"] = "second"
    path = written(tmp_path, *services, *graphs)
    first = _free_pair()
    with RunningHem(["-f", str(path), "--image", IMAGE, "--port", str(first)]) as running:
        ports = [int(url.rsplit(":", 1)[1]) for url in running.events[-1]["urls"]]
        assert ports == [first, first + 1]


def test_a_port_in_use_is_refused_before_any_service_starts(manifests: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = hem("up", "-f", str(manifests), "--image", IMAGE, "--port", str(port))
    assert result.returncode == 2
    assert result.stderr.startswith(f"hem: error: port {port}")
    assert result.stderr.count("\n") == 1


def test_a_port_of_a_hem_that_still_loads_is_refused_too(manifests: Path, tmp_path: Path) -> None:
    port = _free_pair()
    slow = written(tmp_path, service("slow", "--late=30"))
    loading = subprocess.Popen(
        [*HEM, "up", "-f", str(slow), "--image", IMAGE, "--port", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    with loading:
        try:
            assert loading.stderr is not None
            assert "slow" in loading.stderr.readline()
            result = hem("up", "-f", str(manifests), "--image", IMAGE, "--port", str(port))
        finally:
            loading.send_signal(signal.SIGTERM)
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert f"port {port} " in result.stderr
    assert "--port" in result.stderr


def test_without_a_graph_services_answer_from_the_port_on(tmp_path: Path) -> None:
    path = written(tmp_path, service("one"), service("two"))
    first = _free_pair()
    with RunningHem(["-f", str(path), "--image", IMAGE, "--port", str(first)]) as running:
        urls = running.events[-1]["urls"]
        assert urls == [
            f"http://127.0.0.1:{first}/v2/models/one/infer",
            f"http://127.0.0.1:{first + 1}/v2/models/two/infer",
        ]
        answer = running.ask("hello", url=urls[1]).json()
        assert answer["outputs"][0]["data"] == ["two says hello"]


def test_every_server_listens_to_this_machine_alone(tmp_path: Path) -> None:
    recordings = tmp_path / "recordings.jsonl"
    recordings.write_text('{"query": "a", "text": "b"}\n')
    edge, mine = service("edge"), service("mine")
    pod = edge["spec"]["predictor"]["containers"][0]
    pod |= {"image": "kserve-hem-predictor"}
    pod["args"] += ["--engine=recorded", f"--recordings={recordings}"]
    pod = mine["spec"]["predictor"]["containers"][0]
    pod |= {"image": "kserve-hem-transformer"}
    pod["env"] += [{"name": "HEM_ALGORITHM", "value": "EdgeOnly"}]
    with RunningHem(["-f", str(written(tmp_path, edge, mine))]) as running:
        ours = {process.pid for process in running.family()}
        heard = [
            connection.laddr
            for connection in psutil.net_connections("inet")
            if connection.pid in ours and connection.status == psutil.CONN_LISTEN
        ]
    assert len(heard) == 4  # REST and gRPC of both
    assert {address.ip.removeprefix("::ffff:") for address in heard} == {"127.0.0.1"}


@pytest.fixture
def refusing() -> Iterator[str]:
    with ScriptedAPI(knows_nobody=401) as api:
        yield api.url


def test_a_refused_key_is_told_at_the_start_and_with_each_answer(
    tmp_path: Path, refusing: str
) -> None:
    uplink = service("qa-uplink", "--engine=openai_api", f"--url={refusing}", "--upstream_model=m")
    uplink["spec"]["predictor"]["containers"][0]["image"] = "kserve-hem-predictor"
    others = [service("qa-edge"), service("qa-hem", "--route=cloud")]
    path = written(tmp_path, *others, uplink, mining_then_inference("qa"))
    options = ["--set", "qa-uplink.api_key=sk-wrong"]
    with RunningHem(["-f", str(path), "--image", IMAGE, *options]) as running:
        told = [event for event in running.events if event["event"] == "far_side"]
        told = told or [running.wait_for("far_side")]
        assert told[0]["name"] == "qa-uplink"
        assert (told[0]["fault"], told[0]["means"]) == ("refused the key (401)", "the edge answers")
        answer = running.ask("hello")
        assert answer.status_code == 200
        assert answer.headers["hem-failure"] == "401"
        assert answer.json()["parameters"]["served_by"] == "qa-edge"
        asked = hem("ask", "hello", "--url", running.url)
        assert "degraded: the cloud failed (401)" in asked.stdout


def test_settings_and_the_shell_reach_a_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEM_SOMETHING_ELSE", "1")
    path = written(tmp_path, service("only"))
    options = ["--set", "only.LEVEL=high", "--set", "only.predictor_host=x"]
    with RunningHem(["-f", str(path), "--image", IMAGE, *options]) as running:
        about = httpx.get(running.url.split("/v2")[0] + "/about").json()
        assert about["env"]["LEVEL"] == "high"
        assert "--predictor_host=x" in about["argv"]
        assert "HEM_SOMETHING_ELSE" not in about["env"]
        notes = [event["text"] for event in running.events if event["event"] == "note"]
        assert any("HEM_SOMETHING_ELSE" in note for note in notes)


def test_a_benchmark_starts_its_manifests_asks_and_stops_them(tmp_path: Path) -> None:
    services = [
        service("qa-edge"),
        service("qa-cloud"),
        service("qa-hem", "--route=cloud"),
        service("qa-uplink", "--forward=http://qa-cloud-predictor"),
    ]
    for item in services:
        container = item["spec"]["predictor"]["containers"][0]
        container |= {"image": "kserve-hem-predictor", "command": ["python", str(SCRIPT)]}
    written(tmp_path, *services, mining_then_inference("qa"))
    rows = [{"query": "1", "answer": "qa-cloud says 1"}, {"query": "2", "answer": "3"}]
    (tmp_path / "questions.jsonl").write_text("\n".join(map(json.dumps, rows)))
    bench = tmp_path / "bench.yaml"
    bench.write_text("name: b\nmanifests: [manifests.yaml]\ndata: questions.jsonl\n")
    result = hem("evaluate", "-f", str(bench), "--json", "--out", str(tmp_path / "out"))
    assert result.returncode == 0, result.stderr
    runs = json.loads(result.stdout)["runs"]
    assert [runs[name]["quality"] for name in ("EdgeOnly", "routed", "CloudOnly")] == [0, 0.5, 0.5]
    pids = [int(word) for word in re.findall(r"pid (\d+)", result.stderr)]
    assert len(pids) == 4
    assert not any(psutil.pid_exists(pid) for pid in pids)


def test_an_unknown_graph_lists_those_there_are(manifests: Path) -> None:
    result = hem("up", "-f", str(manifests), "--image", IMAGE, "--graph", "none")
    assert result.returncode == 2
    assert "unknown graph 'none'; known: qa" in result.stderr


def test_the_ready_line_is_exact_and_curl_stands_below(manifests: Path) -> None:
    port = _free_pair()
    command = [*HEM, "up", "-f", str(manifests), "--image", IMAGE, "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline().decode() == f"hem: ready http://127.0.0.1:{port}\n"
            lines = [process.stdout.readline().decode() for _ in range(2)]
        finally:
            process.send_signal(signal.SIGTERM)
        assert "curl" in lines[1]


def _free_pair() -> int:
    """A port that is free, and so is the next."""
    while True:
        port = free_port()
        with socket.socket() as second, contextlib.suppress(OSError):
            second.bind(("127.0.0.1", port + 1))
            return port
