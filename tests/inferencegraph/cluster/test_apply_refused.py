"""`hem apply` where it is refused, or fails half way: what is said, and what stands."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT
from tests.inferencegraph.cluster.api_refusals import forbidden, status
from tests.inferencegraph.cluster.api_server import ApiServer, Fault
from tests.inferencegraph.cluster.api_store import Request
from tests.inferencegraph.cluster.conftest import PLAIN, SPEC, Hem, plain, written
from tests.inferencegraph.cluster.shop import SERVICES

Capture = pytest.CaptureFixture[str]


def test_whose_an_object_is_must_be_told_where_it_can_not_be_seen(
    server: ApiServer, hem: Hem, tmp_path: Path, capsys: Capture
) -> None:
    assert hem("apply", "-f", written(tmp_path / "a.yaml", PLAIN)) == 2
    said = capsys.readouterr().err
    assert "can't tell whose ConfigMap 'settings' is" in said
    assert "--owner NAME" in said
    assert not server.sent("PATCH")


@pytest.mark.parametrize("owner", ["", "a b", "-x", "x" * 64])
def test_an_owner_that_is_no_label_is_refused(
    owner: str, hem: Hem, tmp_path: Path, capsys: Capture
) -> None:
    assert hem("apply", "-f", written(tmp_path / "a.yaml", PLAIN), f"--owner={owner}") == 2
    said = capsys.readouterr().err
    assert "the owner " in said
    assert repr(owner) in said or "is empty" in said


def test_a_wrong_manifest_is_refused_before_the_cluster_is_asked(
    server: ApiServer, hem: Hem, spec: Path, capsys: Capture
) -> None:
    wrong = json.loads(json.dumps(SPEC))
    wrong["spec"]["edgeWorker"]["nodez"] = []
    spec.write_text(yaml.safe_dump(wrong))
    assert hem("apply", "-f", spec) == 2
    assert "nothing was sent to the cluster" in capsys.readouterr().err
    assert not server.requests


def test_a_conflict_names_manager_and_field_and_nothing_is_changed(
    server: ApiServer, hem: Hem, tmp_path: Path, capsys: Capture
) -> None:
    server.put({**PLAIN, "data": {"a": "2"}}, "kubectl-client-side-apply")
    path = written(tmp_path / "a.yaml", plain("another"), PLAIN)
    assert hem("apply", "-f", path, "--owner", "me") == 2
    said = capsys.readouterr().err
    assert "'kubectl-client-side-apply' has set data.a" in said
    assert "--force-conflicts" in said
    assert said.rstrip().endswith("nothing was changed")
    assert "another" not in server.objects("ConfigMap")
    assert hem("apply", "-f", path, "--owner", "me", "--force-conflicts") == 0
    assert server.objects("ConfigMap")["settings"]["data"] == {"a": "1"}


def test_all_that_is_refused_is_told_at_once(
    server: ApiServer, hem: Hem, tmp_path: Path, capsys: Capture
) -> None:
    for name in ("one", "two"):
        server.put(plain(name, data={"a": "2"}), "helm")
    path = written(tmp_path / "a.yaml", plain("one"), plain("two"))
    assert hem("apply", "-f", path, "--owner", "me") == 2
    assert capsys.readouterr().err.count("'helm' has set data.a") == 2


def test_a_failure_half_way_says_what_stands_and_the_next_run_goes_on(
    server: ApiServer, hem: Hem, spec: Path, capsys: Capture
) -> None:
    def real_graph(request: Request) -> bool:
        return request.method == "PATCH" and "graphs" in request.path and not request.is_dry_run

    server.faults.append(Fault(real_graph, (500, status(500, "InternalError", "etcd is away"))))
    assert hem("apply", "-f", spec) == 2
    said = capsys.readouterr().err
    assert "etcd is away" in said
    assert "Done: InferenceService/shop-till-1-edge in default created" in said
    left = "InferenceGraph/shop-till-1 in default, InferenceGraph/shop-till-2 in default"
    assert f"Not done, or not known: {left}" in said
    assert sorted(server.objects("InferenceService")) == sorted(SERVICES)
    assert hem("apply", "-f", spec) == 0
    assert list(server.objects("InferenceGraph")) == ["shop-till-1", "shop-till-2"]


def test_ctrl_c_half_way_says_what_stands(server: ApiServer, spec: Path, kubeconfig: Path) -> None:
    held = threading.Event()

    def third(request: Request) -> bool:
        found = "uplink" in request.path and request.method == "PATCH" and not request.is_dry_run
        if found:
            held.set()
        return found

    server.hold = third
    process = subprocess.Popen(
        [sys.executable, "-m", "inferencegraph", "apply", "-f", str(spec)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert held.wait(60)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "stopped by Ctrl-C" in said
    assert "Done: InferenceService/shop-till-1-edge in default created" in said
    assert "Not done, or not known: InferenceService/shop-till-1-uplink in default" in said


def test_an_older_crd_is_told_by_its_field(
    server: ApiServer, hem: Hem, spec: Path, capsys: Capture
) -> None:
    server.unknown_fields["InferenceGraph"] = ("spec.routerTimeouts",)
    assert hem("apply", "-f", spec) == 2
    said = capsys.readouterr().err
    assert "the cluster doesn't know the field spec.routerTimeouts" in said
    assert "update KServe" in said
    assert not server.sent("PATCH", dry_run=False)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "failed to create typed patch object (default/q; serving.kserve.io/v1beta1, "
            'Kind=InferenceService): .spec.predictor.containers[name="c"].imagee: field not '
            "declared in schema",
            'the cluster doesn\'t know the field spec.predictor.containers[name="c"].imagee',
        ),
        (
            'failed calling webhook "inferenceservice.kserve-webhook-server.defaulter": dial tcp '
            "10.0.0.1:443: connect: connection refused",
            "is what answers that webhook running, as KServe's controller?",
        ),
    ],
    ids=["of typed patches", "of a webhook that is down"],
)
def test_an_internal_error_is_told_by_what_it_means(
    text: str, told: str, server: ApiServer, hem: Hem, spec: Path, capsys: Capture
) -> None:
    answer = 500, status(500, "InternalError", text)
    server.faults.append(Fault(lambda each: each.method == "PATCH", answer, times=99))
    assert hem("apply", "-f", spec) == 2
    assert told in capsys.readouterr().err


def test_a_cluster_without_kserve_is_told(
    server: ApiServer, hem: Hem, spec: Path, capsys: Capture
) -> None:
    for version in [each for each in server.kinds if each.startswith("serving.kserve.io")]:
        del server.kinds[version]
    assert hem("apply", "-f", spec) == 2
    assert "KServe is not installed there" in capsys.readouterr().err


def test_a_version_that_is_not_served_is_told_with_those_that_are(
    server: ApiServer, hem: Hem, spec: Path, capsys: Capture
) -> None:
    kinds = server.kinds.pop("serving.kserve.io/v1beta1")
    server.kinds["serving.kserve.io/v1alpha2"] = kinds
    assert hem("apply", "-f", spec) == 2
    said = capsys.readouterr().err
    assert "serving.kserve.io is served in: v1alpha1, v1alpha2" in said


def test_no_permission_names_verb_resource_and_namespace(
    server: ApiServer, hem: Hem, spec: Path, capsys: Capture
) -> None:
    answer = forbidden("patch", "inferenceservices", "serving.kserve.io", "default")
    server.faults.append(Fault(lambda each: each.method == "PATCH", answer, times=99))
    assert hem("apply", "-f", spec) == 2
    said = capsys.readouterr().err
    assert "no permission to patch inferenceservices.serving.kserve.io" in said
    assert "'ada'" in said
    assert "kubectl auth can-i patch inferenceservices.serving.kserve.io -n default" in said


def test_a_webhooks_refusal_is_told_as_it_is(
    server: ApiServer, hem: Hem, spec: Path, capsys: Capture
) -> None:
    text = 'admission webhook "inferencegraph.kserve-webhook-server.validator" denied the request'
    answer = 403, status(403, "Forbidden", f"{text}: InferenceGraph needs a root")
    server.faults.append(Fault(lambda each: "graphs/" in each.path, answer, times=99))
    assert hem("apply", "-f", spec) == 2
    said = capsys.readouterr().err
    assert "InferenceGraph needs a root" in said
    assert "can-i" not in said


def test_a_namespace_that_does_not_exist_is_told(
    server: ApiServer, hem: Hem, spec: Path, capsys: Capture
) -> None:
    assert hem("apply", "-f", spec, "--namespace", "shop") == 2
    said = capsys.readouterr().err
    assert said.count("namespace 'shop' does not exist; make it (kubectl create namespace sho") == 1


def test_two_namespaces_for_one_object_are_refused(
    hem: Hem, tmp_path: Path, capsys: Capture
) -> None:
    there = {**PLAIN, "metadata": {"name": "x", "namespace": "one"}}
    path = written(tmp_path / "a.yaml", there)
    assert hem("apply", "-f", path, "--namespace", "two", "--owner", "me") == 2
    assert "is of namespace 'one', but --namespace is 'two'" in capsys.readouterr().err
