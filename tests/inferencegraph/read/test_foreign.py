"""Nothing is fetched and nothing is run: refused before kubectl is called at all."""

from pathlib import Path
from typing import Any

import pytest

from tests.inferencegraph.read.trees import SERVICE, component, kustomization, refusal, write

PLUGIN = "apiVersion: someteam.example.com/v1\nkind: SedTransformer\nmetadata: {name: a}\n"
FUNCTION = (
    "apiVersion: example.com/v1\nkind: Foo\nmetadata:\n  name: a\n  annotations:\n"
    "    config.kubernetes.io/function: 'exec: {path: ./run.sh}'\n"
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tree in which a kubectl that is called leaves a file behind."""
    program = tmp_path / "bin/kubectl"
    program.parent.mkdir()
    program.write_text(
        '#!/bin/sh\n[ "$1" = version ] || touch "$0.called"\n'
        """echo '{"clientVersion": {"major": "1", "minor": "30"}}'\n"""
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    write(tmp_path / "top/edge.yaml", SERVICE)
    (tmp_path / "top/plugin.yaml").write_text(PLUGIN)
    return tmp_path / "top"


REMOTE = [
    "https://example.com/a.yaml",
    "http://example.com/base?ref=v1",
    "https://github.com/kserve/kserve//config/default?ref=v0.17.0",
    "github.com/kserve/kserve/config/default",
    "GitHub.com/kserve/kserve",
    "git@github.com:kserve/kserve.git",
    "ssh://git@example.com/a",
    "git::https://example.com/a",
    "file:///etc/base",
    "gh:kserve/kserve",
    "bitbucket.org/team/repository.git//base",
    "dev.azure.com/team/_git/base",
    "example.com/team/base?ref=main",
]


@pytest.mark.parametrize("entry", REMOTE)
@pytest.mark.parametrize("field", ["resources", "components", "bases"])
def test_a_remote_base_is_refused(entry: str, field: str, folder: Path) -> None:
    kustomization(folder, **{"resources": ["edge.yaml"], field: [entry]})
    assert f"kustomization.yaml: {entry} is remote; copy it here and name its path" in refusal(
        folder
    )
    assert not (folder.parent / "bin/kubectl.called").exists()


def test_a_folder_that_is_called_like_a_remote_one_is_refused_as_kustomize_would_fetch_it(
    folder: Path,
) -> None:
    write(folder / "github.com/a/b/edge.yaml", SERVICE)
    kustomization(folder / "github.com/a/b", resources=["edge.yaml"])
    kustomization(folder, resources=["github.com/a/b"])
    assert "is remote" in refusal(folder)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"resources": ["team/base"]}, "resources: team/base: no such file or directory"),
        ({"components": ["nowhere"]}, "components: nowhere: no such file or directory"),
        ({"resources": "edge.yaml"}, "resources must be a list of paths, not 'edge.yaml'"),
        ({"resources": ["."] * 2 + [3]}, "resources must be a list of paths"),
        ({"generators": ["plugin.yaml"]}, "SedTransformer is a plugin, and none is run here"),
        ({"transformers": [PLUGIN]}, "SedTransformer is a plugin"),
        ({"transformers": [FUNCTION]}, "example.com/v1 Foo is a plugin"),
        ({"validators": ["nowhere.yaml"]}, "nowhere.yaml is no file; name each of its files"),
        ({"generators": ["https://example.com/g.yaml"]}, "is remote"),
        (
            {"generators": ["apiVersion: builtin\nkind: HelmChartInflationGenerator\n"]},
            "HelmChartInflationGenerator is a plugin",
        ),
        ({"helmCharts": [{"name": "a"}]}, "helmCharts: no chart is fetched or rendered here"),
        ({"patches": [{"path": "https://example.com/p.yaml"}]}, "is remote"),
        ({"patchesStrategicMerge": ["https://example.com/p.yaml"]}, "is remote"),
        ({"replacements": [{"path": "http://example.com/r.yaml"}]}, "is remote"),
        ({"configMapGenerator": [{"name": "a", "files": ["x=https://e.com/x"]}]}, "is remote"),
        ({"secretGenerator": [{"name": "a", "envs": ["https://e.com/x"]}]}, "is remote"),
        ({"openapi": {"path": "https://example.com/schema.json"}}, "is remote"),
        ({"crds": ["https://example.com/crd.json"]}, "is remote"),
        ({"configurations": ["https://example.com/names.yaml"]}, "is remote"),
    ],
    ids=str,
)
def test_what_would_be_fetched_or_run_is_refused(
    fields: dict[str, Any], reason: str, folder: Path
) -> None:
    kustomization(folder, **{"resources": ["edge.yaml"], **fields})
    message = refusal(folder)
    assert reason in message
    assert str(folder / "kustomization.yaml") in message
    assert not (folder.parent / "bin/kubectl.called").exists()


def test_what_stands_in_a_base_of_a_component_is_refused_too(folder: Path) -> None:
    kustomization(folder.parent / "base", resources=["https://example.com/a.yaml"])
    component(folder.parent / "images", resources=["../base"])
    kustomization(folder, resources=["edge.yaml"], components=["../images"])
    message = refusal(folder)
    assert f"{folder.parent / 'base/kustomization.yaml'}: https://example.com/a.yaml is" in message


@pytest.mark.parametrize(
    "fields",
    [
        {"commonAnnotations": {"path": "https://example.com/docs"}},
        {"configMapGenerator": [{"name": "a", "literals": ["url=https://example.com"]}]},
        {"patches": [{"patch": "- {op: add, path: /spec/url, value: 'http://a'}\n"}]},
        {"images": [{"name": "a", "newName": "registry.example.com:5000/team/a"}]},
    ],
    ids=str,
)
def test_addresses_that_nobody_fetches_are_fine(fields: dict[str, Any], folder: Path) -> None:
    kustomization(folder, resources=["edge.yaml"], **fields)
    refusal(folder)  # what this kubectl prints is no object
    assert (folder.parent / "bin/kubectl.called").exists()
