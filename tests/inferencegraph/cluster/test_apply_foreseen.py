"""What `hem apply` foresees: what is named and not there, and what KServe would make."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.inferencegraph.cluster.api_refusals import forbidden, status
from tests.inferencegraph.cluster.api_server import ApiServer, Fault
from tests.inferencegraph.cluster.conftest import SPEC, Hem, written
from tests.inferencegraph.cluster.controller import reconcile

Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    ("pod", "named"),
    [
        ({"serviceAccountName": "robot"}, "ServiceAccount 'robot'"),
        ({"imagePullSecrets": [{"name": "pull"}]}, "Secret 'pull'"),
        ({"volumes": [{"name": "v", "secret": {"secretName": "keys"}}]}, "Secret 'keys'"),
        ({"volumes": [{"name": "v", "configMap": {"name": "text"}}]}, "ConfigMap 'text'"),
        (
            {"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "disk"}}]},
            "PersistentVolumeClaim 'disk'",
        ),
        (
            {"env": {"valueFrom": {"secretKeyRef": {"name": "token", "key": "t"}}}},
            "Secret 'token'",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_named_and_not_there_is_warned_of(
    pod: dict[str, Any], named: str, server: ApiServer, hem: Hem, tmp_path: Path, capsys: Capture
) -> None:
    variables = [{"name": "X", **pod["env"]}] if "env" in pod else []
    container = {"name": "c", "image": "an-image", "env": variables}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d"},
        "spec": {
            "selector": {"matchLabels": {"a": "b"}},
            "template": {
                "metadata": {"labels": {"a": "b"}},
                "spec": {
                    "containers": [container],
                    **{key: value for key, value in pod.items() if key != "env"},
                },
            },
        },
    }
    path = written(tmp_path / "a.yaml", deployment)
    assert hem("apply", "-f", path, "--owner", "me") == 0
    said = capsys.readouterr().err
    assert f"Deployment/d: {named} does not exist in namespace 'default'" in said


def test_the_key_of_a_paid_api_is_warned_of_by_its_name(
    hem: Hem, spec: Path, capsys: Capture
) -> None:
    paid = json.loads(json.dumps(SPEC))
    paid["spec"]["cloudWorker"]["model"] = {
        "name": "gpt-4o-mini",
        "url": "https://api.openai.com/v1",
        "secret": {"name": "openai-key"},
    }
    spec.write_text(yaml.safe_dump(paid))
    assert hem("apply", "-f", spec) == 0
    said = capsys.readouterr().err
    assert "Secret 'openai-key' does not exist in namespace 'default'" in said
    assert said.count("does not exist") == 1  # the others are there


def test_a_secrets_content_is_never_asked_for(server: ApiServer, hem: Hem, spec: Path) -> None:
    hem("apply", "-f", spec)
    asked = server.sent("GET", "/secrets/")
    assert asked
    assert all("PartialObjectMetadata" in each.accept for each in asked)


def test_what_kserve_would_make_is_refused_before_anything_is_changed(
    server: ApiServer, hem: Hem, spec: Path, capsys: Capture
) -> None:
    def refuse(content: dict[str, Any]) -> str | None:
        taken = content["kind"] == "Deployment" and "hem" in content["metadata"]["name"]
        return "spec.template.spec.containers[0].env[0].name: Invalid value" if taken else None

    server.refuse = refuse
    assert hem("apply", "-f", spec) == 2
    said = capsys.readouterr().err
    assert "KServe would make Deployment 'shop-till-1-hem-predictor', which is refused" in said
    assert f"{spec}: InferenceService/shop-till-1-hem: spec: KServe would make" in said
    assert "env[0].name: Invalid value" in said
    assert not server.sent("PATCH", dry_run=False)


def test_a_runtime_of_the_cluster_is_part_of_what_kserve_would_make(
    server: ApiServer, hem: Hem, tmp_path: Path
) -> None:
    container = {"name": "kserve-container", "image": "an-image", "args": ["--of-the-runtime"]}
    formats = [{"name": "huggingface", "version": "1"}]
    server.put(
        {
            "apiVersion": "serving.kserve.io/v1alpha1",
            "kind": "ClusterServingRuntime",
            "metadata": {"name": "theirs"},
            "spec": {"supportedModelFormats": formats, "containers": [container]},
        }
    )
    model = {"modelFormat": {"name": "huggingface"}, "runtime": "theirs", "storageUri": "pvc://c/m"}
    service = {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {
            "name": "large",
            "annotations": {"serving.kserve.io/deploymentMode": "Standard"},
        },
        "spec": {"predictor": {"model": model}},
    }
    assert hem("apply", "-f", written(tmp_path / "a.yaml", service), "--owner", "me") == 0
    [made] = server.sent("POST", "deployments", dry_run=True)
    [first, *_] = made.body["spec"]["template"]["spec"]["containers"]
    assert first["image"] == "an-image"
    assert "--of-the-runtime" in first["args"]


def test_who_may_not_make_deployments_may_still_apply(
    server: ApiServer, hem: Hem, spec: Path, capsys: Capture
) -> None:
    answer = forbidden("create", "deployments", "apps", "default")
    server.faults.append(Fault(lambda each: each.method == "POST", answer, times=99))
    assert hem("apply", "-f", spec) == 0
    said = capsys.readouterr().err
    assert said.count("not tried out what KServe would make") == 1


def test_what_kserve_has_made_already_is_tried_as_its_next_version(
    server: ApiServer, hem: Hem, spec: Path
) -> None:
    hem("apply", "-f", spec)
    reconcile(server)
    server.requests.clear()
    assert hem("apply", "-f", spec) == 0
    put = server.sent("PUT", "deployments")
    live = server.objects("Deployment")
    assert len(put) == 9
    for each in put:
        name = each.path.rpartition("/")[2]
        assert each.is_dry_run
        version = live[name]["metadata"]["resourceVersion"]
        assert each.body["metadata"]["resourceVersion"] == version


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_what_kserve_changes_in_between_is_no_refusal(
    method: str, server: ApiServer, hem: Hem, spec: Path
) -> None:
    if method == "PUT":
        hem("apply", "-f", spec)
        reconcile(server)
    answer = 409, status(409, "Conflict", "the object has been modified; please apply your changes")
    fault = Fault(lambda each: each.method == method, answer, times=3)
    server.faults.append(fault)
    assert hem("apply", "-f", spec) == 0
    assert fault.times == 0
