"""Specs as a user runs them: each shape answers, and sites don't touch each other."""

import os
import shlex
import sys
from pathlib import Path

import httpx
import pexpect
import pytest

from inferencegraph.read.documents import MANIFESTS
from predictors.contract import HEM_ROUTE, SERVED_BY
from predictors.digits.workshop.data import split
from tests.inferencegraph.running_hem import HEM, RunningHem
from tests.predictors.upstream.far_side import MODEL, FarSide
from tests.transformers_hem.tiny_models import write_bert

HEAD = (
    "apiVersion: kserve-hem.io/v1alpha1\nkind: LLMJointInferenceService\nmetadata: {name: shop}\n"
)
SAMPLING = "sampling: {temperature: 0, maxTokens: 64, repetitionPenalty: 1}"
EDGE = f"""
  edgeWorker:
    model: {{file: "embedded:edge"}}
    {SAMPLING}
    resource: {{limits: {{cpu: 1, memory: 2Gi}}}}
"""
CLOUD = f"""
  cloudWorker:
    model: {{file: "embedded:cloud"}}
    {SAMPLING}
    resource: {{limits: {{cpu: 1, memory: 2Gi}}}}
"""
ROUTER = "    hardExampleMining: {name: LinearRouter, router: 'embedded:linear'}\n"
CONFIDENCE = "    hardExampleMining: {name: ConfidenceRouter, threshold: 0.1605}\n"
SIDECAR = CONFIDENCE.replace("}\n", ", placement: sidecar}\n")
OWN = Path(__file__).with_name("own_server.py")
HARD, EASY = "What is 47 + 385?", "Convert 7 km to m."


def _written(folder: Path, *parts: str) -> str:
    path = folder / "spec.yaml"
    path.write_text(f"{HEAD}spec:{''.join(parts)}")
    return str(path)


def _said(response: httpx.Response) -> tuple[str, str]:
    """The answer, and who gave it."""
    assert response.status_code == 200, response.text
    body = response.json()
    (text,) = next(out["data"] for out in body["outputs"] if out["name"] == "text_output")
    return text, body["parameters"][SERVED_BY]


@pytest.mark.slow
@pytest.mark.parametrize(
    "router", [CONFIDENCE, SIDECAR], ids=["inference-then-mining", "sidecar"]
)  # that on two nodes is mining-then-inference
def test_both_sides_answer_as_one(router: str, tmp_path: Path) -> None:
    with RunningHem(["-f", _written(tmp_path, EDGE, router, CLOUD)], timeout=240) as hem:
        assert _said(hem.ask(HARD)) == ("432", "shop-cloud")
        easy = hem.ask(EASY)
        assert _said(easy) == ("7000", "shop-edge")
        assert easy.json()["parameters"][HEM_ROUTE] == "edge"
        hem.kill("shop-cloud")
        assert _said(hem.ask(HARD))[1] == "shop-edge"


@pytest.mark.slow
def test_one_side_alone_answers_without_a_graph(tmp_path: Path) -> None:
    with RunningHem(["-f", _written(tmp_path, CLOUD)], timeout=240) as hem:
        assert _said(hem.ask(EASY)) == ("7000", "shop-cloud")


def _own(side: str) -> str:
    image = f"registry.example.com/team/{side}:1"
    model = f"{{image: {image}, command: [python, {OWN}]}}"
    return f"  {side}Worker:\n    model: {model}\n"


@pytest.mark.slow
def test_in_sdk_mode_images_of_ones_own_run_by_their_own_commands(tmp_path: Path) -> None:
    mode = "\n  deploymentMode: sdk\n"
    edge = f"{_own('edge')}    hardExampleMining: {{name: Random}}\n"
    with RunningHem(["-f", _written(tmp_path, mode, edge, _own("cloud"))], timeout=120) as hem:
        for side in ("edge", "cloud"):
            assert _said(hem.ask(EASY, hem_prefer=side)) == (EASY.upper(), f"shop-{side}")
        hem.kill("shop-cloud")
        assert _said(hem.ask(EASY, hem_prefer="cloud"))[1] == "shop-edge"
        notes = [event["text"] for event in hem.events if event["event"] == "note"]
    assert any(f"shop-edge: python {OWN} runs here" in note for note in notes)
    assert any("in place of the image 'registry.example.com/team/cloud:1'" in n for n in notes)


@pytest.mark.slow
def test_an_api_is_the_cloud_and_an_encoder_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The encoder finds every query hard. It runs in the image that has torch."""
    bert = write_bert(tmp_path / "bert", ("easy", "hard"), (0.0, 2.0))
    parameters = f"[{{name: model, value: {bert}}}, {{name: threshold, value: 0.5}}]"
    router = f"    hardExampleMining: {{name: BERTRouter, parameters: {parameters}}}\n"
    monkeypatch.setenv("PREDICTOR_API_KEY", "sk-0123")
    with FarSide() as far:
        api = f"{{name: {MODEL}, url: '{far.url}/v1', secret: {{name: cloud-key}}}}"
        cloud = f"  cloudWorker:\n    model: {api}\n"
        with RunningHem(["-f", _written(tmp_path, EDGE, router, cloud)], timeout=240) as hem:
            answer = hem.ask(EASY)
            assert _said(answer) == (EASY.upper(), MODEL)
            assert far.requests[-1].headers["authorization"] == "Bearer sk-0123"
            assert _said(hem.ask(EASY, hem_prefer="edge")) == ("7000", "shop-edge")


@pytest.mark.slow
def test_a_pair_of_classifiers_answers_as_one(tmp_path: Path) -> None:
    mining = "    hardExampleMining: {name: CrossEntropy, threshold: 0.077}\n"
    edge = f"\n  edgeWorker:\n    model: {{file: 'digits:edge'}}\n{mining}"
    cloud = "  cloudWorker:\n    model: {file: 'digits:cloud'}\n"
    _, test = split()
    found = []
    with RunningHem(["-f", _written(tmp_path, edge, cloud)], timeout=120) as hem:
        for image in test.images[:40]:
            tensor = {"name": "image", "datatype": "FP32", "shape": [1, 8, 8]}
            body = {"inputs": [{**tensor, "data": image.ravel().tolist()}]}
            answer = httpx.post(hem.url, json=body, timeout=60).json()
            (output,) = answer["outputs"]
            digit = max(range(10), key=output["data"].__getitem__)
            found.append((digit, answer["parameters"][SERVED_BY]))
    assert {model for _, model in found} == {"shop-edge", "shop-cloud"}
    right = [digit == label for (digit, _), label in zip(found, test.labels, strict=False)]
    assert sum(right) >= 38


@pytest.mark.slow
def test_a_setup_runs_here_with_a_stand_in_for_its_engines_image() -> None:
    stand_in = f"vllm-openai={shlex.join(['python', str(OWN)])}"
    folder = str(MANIFESTS / "setups/several-gpus")
    with RunningHem(["-f", folder, "--image", stand_in], timeout=120) as hem:
        assert _said(hem.ask(EASY)) == (EASY.upper(), "llm-cloud")


@pytest.mark.slow
def test_two_nodes_share_a_cloud_and_one_does_not_feel_the_others_death(tmp_path: Path) -> None:
    nodes = f"{EDGE}    nodes: [till-1, till-2]\n"
    arguments = ["--no-restart", "-f", _written(tmp_path, nodes, ROUTER, CLOUD)]
    with RunningHem(arguments, timeout=240) as hem:
        ready = hem.events[-1]
        urls, gateways = ready["urls"], ready["gateways"]
        assert len(urls) == 2 and set(gateways) == {"shop-till-1", "shop-till-2"}
        for number, url in enumerate(urls, 1):
            easy = hem.ask(EASY, url=url)
            assert _said(easy) == ("7000", f"shop-till-{number}-edge")
            assert easy.json()["parameters"][HEM_ROUTE] == "edge"
            assert _said(hem.ask(HARD, url=url)) == ("432", "shop-cloud")
        for site in gateways:
            assert _chat(gateways[site], site) == 200
        hem.kill("shop-till-1-edge")
        assert hem.wait_for("died")["name"] == "shop-till-1-edge"
        for _ in range(20):
            assert _said(hem.ask(EASY, url=urls[1])) == ("7000", "shop-till-2-edge")
            assert _said(hem.ask(HARD, url=urls[1])) == ("432", "shop-cloud")
        assert _chat(gateways["shop-till-2"], "shop-till-2") == 200
        assert _said(hem.ask(HARD, url=urls[0])) == ("432", "shop-cloud")
        hem.kill("shop-cloud")
        assert _said(hem.ask(HARD, url=urls[1]))[1] == "shop-till-2-edge"


def _chat(url: str, model: str) -> int:
    message = {"role": "user", "content": EASY}
    body = {"model": model, "messages": [message]}
    return httpx.post(f"{url}/chat/completions", json=body, timeout=60).status_code


@pytest.mark.slow
def test_from_an_empty_folder_to_an_answer_are_two_commands_on_a_terminal(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "COLUMNS": "100"}
    program, *words = HEM

    def started(*arguments: str) -> pexpect.spawn:
        return pexpect.spawn(
            program,
            [*words, *arguments],
            cwd=str(tmp_path),
            env=environment,
            encoding="utf-8",
            timeout=120,
        )

    init = started("init")
    for question, answer in (
        ("Name of the site", "corner shop"),
        ("use a-z, 0-9", "corner"),
        ("Edge model", "embedded:edge"),
        ("Cloud", "embedded:cloud"),
        ("Edge nodes", ""),
    ):
        init.expect(question)
        init.sendline(answer)
    init.expect("wrote spec.yaml")
    init.expect(pexpect.EOF)
    up = started("up", "-f", "spec.yaml", "--port", "0")
    try:
        up.expect(r"hem: ready (http://[\d.]+:\d+)")
        assert up.match is not None
        asked = pexpect.run(
            f"{program} {' '.join(words)} ask '{EASY}' --url {up.match[1]}",
            env=environment,
            cwd=str(tmp_path),
            encoding="utf-8",
            timeout=60,
        )
        assert "served by corner-edge" in asked
    finally:
        up.sendintr()
        up.expect("hem: stopped")
        up.close(force=True)
