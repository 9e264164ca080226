"""What is installed: all that runs, and nothing that only trained what ships."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from tests.conftest import ROOT

PARTS = ("predictors", "transformers_hem", "inferencegraph", "manifests")
FILES = ("pyproject.toml", "README.md", "LICENSE")


def test_the_wheel_has_models_routers_and_manifests_but_no_workshop(tmp_path: Path) -> None:
    source, out = tmp_path / "source", tmp_path / "out"
    for part in PARTS:
        shutil.copytree(ROOT / part, source / part, ignore=shutil.ignore_patterns("__pycache__"))
    for file in FILES:
        shutil.copy(ROOT / file, source / file)
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*build, "--wheel-dir", str(out), str(source)], check=True, capture_output=True)
    (wheel,) = out.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {
        "predictors/embedded/edge/model.safetensors",
        "predictors/embedded/long-edge/model.safetensors",
        "predictors/embedded/data/test.jsonl",
        "predictors/embedded/data/long_test.jsonl.gz",
        "predictors/digits/triton/digits-cloud/1/model.onnx",
        "predictors/servers/triton/causal_lm/1/model.py",
        "transformers_hem/embedded/best/encoder/model.onnx",
        "transformers_hem/gateway/page/static/index.html",
        "transformers_hem/gateway/page/static/main.js",
        "manifests/answer-generation/mining-then-inference/graph.yaml",
    } <= names
    assert not [name for name in names if "workshop" in name]
