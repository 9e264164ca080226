"""ConfigMaps that containers mount, as folders of `hem up`."""

from pathlib import Path
from typing import Any

import pytest

from inferencegraph.local.containers import LOCAL_COMMANDS
from inferencegraph.local.plan import Component, plan
from predictors.errors import ConfigurationError

Object = dict[str, Any]


def service(volume: Object, mount: Object | None = None) -> Object:
    container = {
        "name": "kserve-container",
        "image": "kserve-hem-predictor",
        "args": ["--model_name=x", "--labels=/etc/own/labels.txt"],
        "env": [{"name": "PYTHONPATH", "value": "/etc/own:/etc/ownother"}],
        "volumeMounts": [{"name": "own", "mountPath": "/etc/own", **(mount or {})}],
    }
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": "x"},
        "spec": {
            "predictor": {
                "containers": [container],
                "volumes": [{"name": "own", "configMap": {"name": "files", **volume}}],
            }
        },
    }


FILES = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "files"},
    "data": {"labels.txt": "cat\ndog\n", "other.txt": "x"},
}


def planned(folder: Path, *documents: Object) -> Component:
    ports = iter(range(20_001, 20_100))
    return plan(documents, [], [], LOCAL_COMMANDS, ports, folder=folder).components[0]


def mounted_at(component: Component) -> Path:
    option = next(word for word in component.command if word.startswith("--labels="))
    return Path(option.partition("=")[2])


def test_the_files_are_where_the_arguments_and_variables_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/callers")
    component = planned(tmp_path, service({}), FILES)

    labels = mounted_at(component)
    assert labels.read_text() == "cat\ndog\n"
    assert labels.is_relative_to(tmp_path)
    paths = component.environment["PYTHONPATH"].split(":")
    assert paths == [str(labels.parent), "/etc/ownother", "/callers"]


def test_items_choose_and_rename_files(tmp_path: Path) -> None:
    items = [{"key": "other.txt", "path": "labels.txt"}]
    labels = mounted_at(planned(tmp_path, service({"items": items}), FILES))

    assert labels.read_text() == "x"
    assert [each.name for each in labels.parent.iterdir()] == ["labels.txt"]


def test_a_sub_path_is_one_file(tmp_path: Path) -> None:
    mount = {"mountPath": "/etc/own/labels.txt", "subPath": "labels.txt"}

    assert mounted_at(planned(tmp_path, service({}, mount), FILES)).read_text() == "cat\ndog\n"


def test_a_config_map_that_is_not_here_is_refused_by_its_name(tmp_path: Path) -> None:
    other = {**FILES, "metadata": {"name": "filse"}}

    with pytest.raises(ConfigurationError, match=r"'files', which is not in these.*'filse'"):
        planned(tmp_path, service({}), other)


def test_an_optional_one_may_be_absent(tmp_path: Path) -> None:
    assert mounted_at(planned(tmp_path, service({"optional": True}))) == Path("/etc/own/labels.txt")


def test_a_file_outside_of_the_folder_is_refused(tmp_path: Path) -> None:
    items = [{"key": "other.txt", "path": "../../out.txt"}]

    with pytest.raises(ConfigurationError, match="leads out of its folder"):
        planned(tmp_path, service({"items": items}), FILES)
