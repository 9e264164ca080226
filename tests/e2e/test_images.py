"""The Dockerfiles, without a container engine: their rules, and their install steps for real."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.utils import canonicalize_name

from inferencegraph.build.mining import MINING_MODES
from inferencegraph.spec import examples

ROOT = Path(__file__).resolve().parents[2]
PREDICTOR = ROOT / "predictors/Dockerfile"
HEM = ROOT / "transformers_hem/Dockerfile"
ROUTER = ROOT / "inferencegraph/Dockerfile"
VLLM = ROOT / "predictors/engines/vllm/Dockerfile"
OURS = pytest.mark.parametrize("dockerfile", [PREDICTOR, HEM, ROUTER], ids=lambda p: p.parent.name)


@dataclass(frozen=True, slots=True)
class Stage:
    """`steps`: (instruction, rest of its line)."""

    base: str
    steps: tuple[tuple[str, str], ...]

    def all(self, instruction: str) -> list[str]:
        return [text for name, text in self.steps if name == instruction]


def _stages(dockerfile: Path) -> list[Stage]:
    text = dockerfile.read_text().replace("\\\n", " ")
    lines = [line.split(maxsplit=1) for line in text.splitlines() if line and line[0] != "#"]
    starts = [index for index, line in enumerate(lines) if line[0] == "FROM"]
    ends = [*starts[1:], len(lines)]
    return [
        Stage(lines[start][1], tuple((line[0], line[1]) for line in lines[start + 1 : end]))
        for start, end in zip(starts, ends, strict=True)
    ]


@OURS
def test_an_image_is_built_in_one_stage_and_run_in_another_by_a_user_without_rights(
    dockerfile: Path,
) -> None:
    builder, final = _stages(dockerfile)
    assert builder.base.endswith(" AS builder")
    (user,) = final.all("USER")
    assert user.isdigit() and user != "0"
    assert any(f"useradd --uid {user} " in run for run in final.all("RUN"))
    assert final.all("COPY") == ["--from=builder /venv /venv"]
    (entrypoint,) = final.all("ENTRYPOINT")
    command, options = json.loads(entrypoint)[:3], json.loads(entrypoint)[3:]
    assert command == ["python", "-m", dockerfile.parent.name]
    assert options[:1] == (["router"] if dockerfile == ROUTER else [])


@OURS
def test_everything_is_installed_from_a_lock_with_hashes(dockerfile: Path) -> None:
    builder, final = _stages(dockerfile)
    installs = [run for run in builder.all("RUN") if "pip install" in run]
    *locked, own = installs
    assert own.endswith("--no-deps --no-build-isolation --no-index .")
    for run in locked:
        assert "--no-cache-dir --no-deps" in run
        assert "--require-hashes" in run or "TORCH_INDEX" in run
    assert not any("pip" in run for run in final.all("RUN"))


@pytest.mark.parametrize("dockerfile", sorted(ROOT.rglob("Dockerfile")), ids=str)
def test_every_base_is_an_argument_so_that_it_can_be_pinned_by_its_digest(
    dockerfile: Path,
) -> None:
    if ".venv" in str(dockerfile):
        pytest.skip("not the project's own")
    for stage in _stages(dockerfile):
        assert re.fullmatch(r"\$\{[A-Z_]+_IMAGE\}( AS builder)?", stage.base)


@pytest.mark.parametrize(
    "dockerfile",
    [PREDICTOR, HEM, ROUTER, VLLM],
    ids=["predictor", "transformer", "router", "vllm"],
)
def test_what_is_copied_is_there_and_not_ignored(dockerfile: Path) -> None:
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().split() if line[0] == "!"]
    builder = _stages(dockerfile)[0]
    for copy in builder.all("COPY"):
        for source in copy.split()[:-1]:
            assert (ROOT / source).exists(), source
            assert source in allowed


def test_vllms_image_is_the_tested_one_and_runs_the_predictor_without_rights() -> None:
    (stage,) = _stages(VLLM)
    tested = yaml.safe_load((ROOT / "manifests/runtimes/nvidia/images.yaml").read_text())["data"]
    assert f"ARG BASE_IMAGE={tested['vllm']}" in VLLM.read_text().splitlines()
    assert f"BASE_IMAGE={tested['vllm-cpu']}" in VLLM.read_text().split()
    assert stage.base == "${BASE_IMAGE}"
    (user,) = stage.all("USER")
    assert user.isdigit() and user != "0"
    assert stage.all("ENTRYPOINT") == ['["python3", "-m", "predictors"]']


def test_in_vllms_image_its_versions_stay_and_ours_fill_the_gaps(tmp_path: Path) -> None:
    (stage,) = _stages(VLLM)
    freeze, choose, install = stage.all("RUN")
    assert freeze.endswith("pip list --format=freeze > installed.txt")
    assert install.endswith("pip install --no-cache-dir -c constraints.txt . vllm")
    held = ["flashinfer-python==0.7", "numpy==2.3.5", "nvidia-nccl-cu13==2", "torch==2.13.0+cu130"]
    held += ["torchaudio==2.11.0", "transformers==5.17.0", "triton==3.8", "vllm==0.32.0"]
    left_to_pip = ["huggingface_hub==1.40.0", "prometheus-client==0.25.0", "psutil==7.2.2"]
    (tmp_path / "installed.txt").write_text("\n".join([*held, *left_to_pip, ""]))
    shutil.copytree(ROOT / ".ci", tmp_path / ".ci")
    subprocess.run(["bash", "-ec", choose], cwd=tmp_path, check=True)
    lines = [
        line for line in (tmp_path / "constraints.txt").read_text().splitlines() if line[0] != "#"
    ]
    assert lines[: len(held)] == held
    names = [canonicalize_name(line.split("==")[0]) for line in lines]
    assert len(names) == len({*names})
    assert not {*names} & {"huggingface-hub", "prometheus-client", "psutil"}
    ours, vllms = (
        (ROOT / ".ci" / name).read_text().splitlines()
        for name in ("constraints.txt", "constraints-vllm.txt")
    )
    pins = {"fastapi": vllms, "kserve": ours}  # both files pin fastapi
    for name, pinned in pins.items():
        assert [line for line in lines if line.startswith(f"{name}==")] == [
            line for line in pinned if line.startswith(f"{name}==")
        ]


# What a container's words need of the predictor's extras.
NEEDS = {
    "--engine=huggingface": "huggingface",
    "--engine=speculative": "huggingface",  # the small model drafts by it
    "--engine=triton": "triton",
    "--engine=classifier": "onnx",  # digits:edge is an ONNX file
    "--quantization=8bit": "quantization",
}


def _containers(node: Any) -> Iterator[dict[str, Any]]:
    """Every mapping with words for a process, of any manifest."""
    if isinstance(node, dict):
        if isinstance(node.get("args"), list):
            yield node
        node = list(node.values())
    for each in node if isinstance(node, list) else []:
        yield from _containers(each)


def test_the_predictor_image_holds_what_the_shipped_manifests_ask_of_it(tmp_path: Path) -> None:
    for side in ("edge", "cloud"):
        for mode in MINING_MODES:
            made = examples.setup(examples.FOLDER / mode)
            other = replace(made, **{side: replace(getattr(made, side), engine="triton")})
            examples.write(tmp_path / side, Path(mode), examples.files(other))
    files = [*(ROOT / "manifests").rglob("*.yaml"), *tmp_path.rglob("*.yaml")]
    asked: dict[str, set[str]] = {}
    for path in files:
        for container in _containers([*yaml.safe_load_all(path.read_text())]):
            image = container.get("image", container.get("runtime"))
            if image in ("kserve-hem-predictor", "predictor"):
                for word in container["args"]:
                    asked.setdefault(NEEDS.get(word, ""), set()).add(word)
    (lock,) = re.findall(r"^ARG LOCK=(.*)$", PREDICTOR.read_text(), re.MULTILINE)
    extras = (ROOT / ".ci/locks" / lock).read_text().partition("Extras: ")[2].partition(".")[0]
    assert asked.keys() - {""} == set(NEEDS.values()) == set(extras.split()) - {"telemetry"}
    known = {"--engine=kserve", "--engine=openai_api"}  # of the plain installation
    assert not {word for word in asked[""] if word.startswith("--engine=")} - known


def _index_answers(scratch: Path, env: Mapping[str, str]) -> bool:
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--retries", "0"]
    command += ["--timeout", "5", "-d", str(scratch), "certifi"]
    return subprocess.run(command, env=env, capture_output=True, check=False).returncode == 0


def _run_builder(stage: Stage, folder: Path, env: Mapping[str, str]) -> Path:
    """Executes COPY and RUN in `folder`; returns what stands for /venv."""
    build, venv = folder / "build", folder / "venv"
    build.mkdir()
    python = Path(sys.executable).parent
    path = f"{venv}/bin:{python}:{os.environ['PATH']}"
    env = {
        **env,
        "PATH": path,
        **_arguments(stage),
        "TORCH_INDEX": "",
        "TARGETARCH": "amd64",
    }
    for name, text in stage.steps:
        if name == "COPY":
            *sources, target = text.split()
            for source in sources:
                _copy(ROOT / source, build / target)
        elif name == "RUN":
            command = re.sub(r"/venv\b", str(venv), text)
            subprocess.run(["bash", "-ec", command], cwd=build, env=env, check=True)
    return venv


def _arguments(stage: Stage) -> dict[str, str]:
    return dict(text.split("=", 1) for text in stage.all("ARG") if "=" in text)


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    elif target.is_dir():
        shutil.copy(source, target)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)


# Not in the images that run no model.
HEAVY = {"torch", "transformers", "vllm", "triton"}
EXPORTERS = {"opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http"}
LIGHT = [
    (HEM, ["transformers_hem", "--help"], "LinearRouter", HEAVY),
    (ROUTER, ["inferencegraph", "router", "--help"], "--graph-json", HEAVY | {"kserve", "scipy"}),
]


@pytest.mark.slow
@pytest.mark.timeout(900)  # hundreds of files come from an index, however fast that is
@pytest.mark.parametrize(
    ("dockerfile", "words", "said", "absent"), LIGHT, ids=["transformer", "router"]
)
def test_the_light_images_install_without_torch_and_start_within_seconds(
    dockerfile: Path,
    words: list[str],
    said: str,
    absent: set[str],
    tmp_path: Path,
    certificates: Mapping[str, str],
) -> None:
    env = {**os.environ, **certificates}
    if not _index_answers(tmp_path / "probe", env):
        pytest.skip("no package index answers: an image can't be built from here")
    venv = _run_builder(_stages(dockerfile)[0], tmp_path, env)

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [str(venv / "bin/python"), "-m", *words]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    listed = run("pip", "list", "--format=freeze").stdout.lower()
    packages = {line.split("==")[0] for line in listed.splitlines()}
    assert packages >= {"kserve-hem", *EXPORTERS}
    assert not packages & absent
    begin = time.monotonic()
    help_text = run(*words)
    assert help_text.returncode == 0, help_text.stderr
    assert said in help_text.stdout
    assert time.monotonic() - begin < 20
    manifests = venv.glob("lib/python*/site-packages/manifests/answer-generation/*/graph.yaml")
    assert len(list(manifests)) == 4
