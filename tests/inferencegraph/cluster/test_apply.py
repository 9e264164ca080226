"""`hem apply` against a Kubernetes API on a socket: all or nothing, in order, and what stands."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from inferencegraph.spec.schema import crd
from tests.conftest import ROOT
from tests.inferencegraph.cluster.api_server import (
    APPLY,
    ApiServer,
    Fault,
    Request,
    forbidden,
    status,
)
from tests.inferencegraph.cluster.conftest import SPEC, Hem, printed, written
from tests.inferencegraph.cluster.controller import make_ready, reconcile

Capture = pytest.CaptureFixture[str]
OWNER = "kserve-hem.io/owner"
SERVICES = [
    *(f"shop-till-{node}-{part}" for node in (1, 2) for part in ("edge", "hem", "uplink")),
    "shop-cloud",
]
PLAIN = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "settings"},
    "data": {"a": "1"},
}


def plain(name: str, **more: Any) -> dict[str, Any]:
    return {**PLAIN, "metadata": {"name": name}, **more}


def test_a_spec_becomes_its_objects_services_before_graphs(
    server: ApiServer, hem: Hem, spec: Path
) -> None:
    assert hem("apply", "-f", spec) == 0
    assert sorted(server.objects("InferenceService")) == sorted(SERVICES)
    assert list(server.objects("InferenceGraph")) == ["shop-till-1", "shop-till-2"]
    written_to = [each.path.split("/")[-2] for each in server.sent("PATCH", dry_run=False)]
    assert written_to == ["inferenceservices"] * 7 + ["inferencegraphs"] * 2
    for content in server.objects("InferenceService").values():
        assert content["metadata"]["labels"][OWNER] == "shop"


def test_it_is_server_side_apply_with_strict_fields(
    server: ApiServer, hem: Hem, spec: Path
) -> None:
    hem("apply", "-f", spec)
    for request in server.sent("PATCH"):
        assert request.content_type == APPLY
        assert request.query["fieldManager"] == "hem"
        assert request.query["fieldValidation"] == "Strict"
        assert "force" not in request.query
    assert server.managers("InferenceService", "shop-cloud") == {"hem"}


def test_everything_is_tried_out_before_the_first_change(
    server: ApiServer, hem: Hem, spec: Path
) -> None:
    hem("apply", "-f", spec)
    patches = server.sent("PATCH")
    assert [each.is_dry_run for each in patches] == [True] * 9 + [False] * 9
    tried = {each.path.split("/")[-1] for each in server.sent("POST", dry_run=True)}
    assert tried == {"deployments", "services", "horizontalpodautoscalers"}


def test_a_second_time_changes_nothing(
    server: ApiServer, hem: Hem, spec: Path, capsys: Capture
) -> None:
    hem("apply", "-f", spec)
    before = server.objects("InferenceService")
    capsys.readouterr()
    assert hem("apply", "-f", spec, "--json") == 0
    assert {each["change"] for each in printed(capsys)["changes"]} == {"unchanged"}
    assert server.objects("InferenceService") == before


def test_a_dry_run_says_what_would_happen_and_changes_nothing(
    server: ApiServer, hem: Hem, spec: Path, capsys: Capture
) -> None:
    assert hem("apply", "-f", spec, "--dry-run") == 0
    assert "InferenceService/shop-cloud in default created (dry run)" in capsys.readouterr().out
    assert not server.sent("PATCH", dry_run=False)
    assert not server.objects("InferenceService")


def test_what_the_files_have_no_more_is_listed_and_deleted(
    server: ApiServer, hem: Hem, spec: Path, tmp_path: Path, capsys: Capture
) -> None:
    hem("apply", "-f", spec)
    server.put(plain("another's"))
    smaller = json.loads(json.dumps(SPEC))
    smaller["spec"]["edgeWorker"]["nodes"] = ["till-1"]
    spec.write_text(yaml.safe_dump(smaller))
    capsys.readouterr()
    assert hem("apply", "-f", spec) == 0
    said = capsys.readouterr()
    assert "not in the files any more, so deleted at the end: InferenceService/shop" in said.err
    assert "InferenceGraph/shop-till-2 in default deleted" in said.out
    assert not [name for name in server.objects("InferenceService") if "till-2" in name]
    assert "another's" in server.objects("ConfigMap")


def test_jobs_come_before_what_begins_with_them_and_go_with_their_field(
    server: ApiServer, hem: Hem, spec: Path, capsys: Capture
) -> None:
    learning = json.loads(json.dumps(SPEC))
    kept = {"store": {"secret": {"name": "feedback"}}, "shadow": 0.02}
    labels = {"mountPath": "/mnt/labels", "configMap": "labels"}
    learning["spec"] |= {"feedback": kept, "retrain": {"volumes": [labels]}}
    spec.write_text(yaml.safe_dump(learning))
    assert hem("apply", "-f", spec) == 0
    said = capsys.readouterr().err
    assert "Secret 'feedback' does not exist" in said
    assert "CronJob/shop-retrain: ConfigMap 'labels' does not exist" in said
    kinds = [each.path.split("/")[-2] for each in server.sent("PATCH", dry_run=False)]
    assert kinds.index("jobs") < kinds.index("inferenceservices")
    assert list(server.objects("CronJob")) == ["shop-check", "shop-retrain"]

    spec.write_text(yaml.safe_dump(SPEC))
    assert hem("apply", "-f", spec) == 0
    assert not [*server.objects("CronJob"), *server.objects("Job")]
    assert list(server.objects("PersistentVolumeClaim")) == ["shop-versions"]


def test_with_no_prune_it_stays(server: ApiServer, hem: Hem, tmp_path: Path) -> None:
    both = written(tmp_path / "a.yaml", plain("one"), plain("two"))
    hem("apply", "-f", both, "--owner", "me")
    written(both, plain("one"))
    hem("apply", "-f", both, "--owner", "me", "--no-prune")
    assert list(server.objects("ConfigMap")) == ["one", "two"]


def test_claims_are_kept_with_their_data(
    server: ApiServer, hem: Hem, tmp_path: Path, capsys: Capture
) -> None:
    server.put(
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "models", "labels": {OWNER: "me"}},
        }
    )
    hem("apply", "-f", written(tmp_path / "a.yaml", plain("one")), "--owner", "me")
    assert "kept with its data: PersistentVolumeClaim/models" in capsys.readouterr().err
    assert list(server.objects("PersistentVolumeClaim")) == ["models"]


def test_what_a_controller_made_of_an_object_is_not_pruned(
    server: ApiServer, hem: Hem, tmp_path: Path
) -> None:
    made = plain("made")
    made["metadata"] |= {
        "labels": {OWNER: "me"},
        "ownerReferences": [{"kind": "InferenceService", "name": "x", "controller": True}],
    }
    server.put(made)
    hem("apply", "-f", written(tmp_path / "a.yaml", plain("one")), "--owner", "me")
    assert list(server.objects("ConfigMap")) == ["made", "one"]


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


def test_a_namespace_among_the_files_is_made_first(
    server: ApiServer, hem: Hem, tmp_path: Path
) -> None:
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
    path = written(tmp_path / "a.yaml", plain("one"), namespace)
    assert hem("apply", "-f", path, "--namespace", "shop", "--owner", "me") == 0
    made = server.objects("ConfigMap")["one"]
    assert made["metadata"]["namespace"] == "shop"
    assert OWNER not in server.objects("Namespace")["shop"]["metadata"].get("labels", {})


def test_two_namespaces_for_one_object_are_refused(
    hem: Hem, tmp_path: Path, capsys: Capture
) -> None:
    there = {**PLAIN, "metadata": {"name": "x", "namespace": "one"}}
    path = written(tmp_path / "a.yaml", there)
    assert hem("apply", "-f", path, "--namespace", "two", "--owner", "me") == 2
    assert "is of namespace 'one', but --namespace is 'two'" in capsys.readouterr().err


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


def test_a_field_that_the_file_has_no_more_goes_and_anothers_stays(
    server: ApiServer, hem: Hem, tmp_path: Path
) -> None:
    path = written(tmp_path / "a.yaml", plain("settings", data={"a": "1", "b": "2"}))
    hem("apply", "-f", path, "--owner", "me")
    server.update("ConfigMap", "settings", lambda each: each["data"].update(c="3"))
    written(path, plain("settings", data={"a": "1"}))
    hem("apply", "-f", path, "--owner", "me")
    assert server.objects("ConfigMap")["settings"]["data"] == {"a": "1", "c": "3"}


def test_the_spec_itself_is_stored_where_its_kind_is_known(
    server: ApiServer, hem: Hem, spec: Path, capsys: Capture
) -> None:
    hem("apply", "-f", spec)
    assert "does not have the kind LLMJointInferenceService" in capsys.readouterr().err
    server.put(crd())
    assert hem("apply", "-f", spec) == 0
    assert "does not have the kind" not in capsys.readouterr().err
    stored = server.objects("LLMJointInferenceService")["shop"]
    assert stored["spec"]["edgeWorker"]["nodes"] == [{"name": "till-1"}, {"name": "till-2"}]
    assert stored["metadata"]["labels"][OWNER] == "shop"


def test_the_spec_is_stored_by_the_names_that_the_crd_has(
    server: ApiServer, hem: Hem, spec: Path
) -> None:
    server.put(crd())
    loose = json.loads(json.dumps(SPEC))
    loose["apiVersion"] = "example.com/v1"
    loose["spec"]["edge_worker"] = loose["spec"].pop("edgeWorker")
    loose["spec"]["edge_worker"]["sampling"] = {"max_tokens": 64}
    spec.write_text(yaml.safe_dump(loose))
    assert hem("apply", "-f", spec) == 0
    stored = server.objects("LLMJointInferenceService")["shop"]
    assert stored["apiVersion"] == "kserve-hem.io/v1alpha1"
    assert stored["spec"]["edgeWorker"]["sampling"] == {"maxTokens": 64}


@pytest.mark.parametrize(
    "path", sorted((ROOT / "manifests/specs").rglob("*.yaml")), ids=lambda path: path.stem
)
def test_each_shipped_spec_is_stored_under_strict_fields(
    path: Path, server: ApiServer, hem: Hem
) -> None:
    server.put(crd())
    assert hem("apply", "-f", path) == 0
    [stored] = server.objects("LLMJointInferenceService").values()
    [version] = crd()["spec"]["versions"]
    schema = version["schema"]["openAPIV3Schema"]
    jsonschema.Draft4Validator(schema).validate(stored)


def test_crd_and_spec_in_one_go(server: ApiServer, hem: Hem, spec: Path, tmp_path: Path) -> None:
    definition = written(tmp_path / "crd.yaml", crd())
    assert hem("apply", "-f", definition, "-f", spec) == 0
    assert list(server.objects("LLMJointInferenceService")) == ["shop"]


def test_the_difference_is_shown_and_secrets_are_not(
    server: ApiServer, hem: Hem, tmp_path: Path, capsys: Capture
) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}}
    path = written(tmp_path / "a.yaml", PLAIN, {**secret, "stringData": {"key": "before"}})
    hem("apply", "-f", path, "--owner", "me")
    written(path, plain("settings", data={"a": "9"}), {**secret, "stringData": {"key": "after"}})
    capsys.readouterr()
    assert hem("apply", "-f", path, "--owner", "me", "--diff", "--dry-run") == 0
    said = capsys.readouterr().out
    assert "-  a: '1'\n+  a: '9'" in said
    assert "+  key: (hidden, sha256 " in said
    assert "after" not in said.replace("applied", "")
    assert server.objects("ConfigMap")["settings"]["data"] == {"a": "1"}


def test_wait_ends_when_all_parts_run(
    server: ApiServer, hem: Hem, spec: Path, capsys: Capture
) -> None:
    when_graphs_are_there(server, lambda: reconcile(server))
    assert hem("apply", "-f", spec, "--wait", "--timeout", "60", "--json") == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["ready"] is True
    assert "InferenceGraph/shop-till-1: Running, Ready" in said.err


def test_wait_says_what_is_not_ready_and_why(
    server: ApiServer, hem: Hem, spec: Path, capsys: Capture
) -> None:
    hem("apply", "-f", spec)
    reconcile(server)
    server.update("Deployment", "shop-cloud-predictor", _unavailable)
    capsys.readouterr()
    assert hem("apply", "-f", spec, "--wait", "--timeout", "0.5") == 1
    said = capsys.readouterr().err
    late = said.partition("not ready after 0.5 s:")[2]
    assert "InferenceService/shop-cloud: Failed, ProgressDeadlineExceeded: took too long" in late
    assert "till-1" not in late


def _unavailable(content: dict[str, Any]) -> None:
    content["status"]["conditions"] = [
        {"type": "Available", "status": "False", "reason": "MinimumReplicasUnavailable"},
        {
            "type": "Progressing",
            "status": "False",
            "reason": "ProgressDeadlineExceeded",
            "message": "took too long",
        },
    ]


def test_the_api_server_may_ask_to_wait(
    server: ApiServer, hem: Hem, spec: Path, capsys: Capture
) -> None:
    answer = 429, status(429, "TooManyRequests", "slow down")
    fault = Fault(lambda each: each.method == "PATCH", answer, 2, {"Retry-After": "1"})
    server.faults.append(fault)
    assert hem("apply", "-f", spec) == 0
    assert fault.times == 0
    assert sorted(server.objects("InferenceService")) == sorted(SERVICES)


@pytest.mark.parametrize("method", ["GET", "PATCH", "POST"])
def test_a_dropped_connection_is_made_again(
    method: str, server: ApiServer, hem: Hem, spec: Path
) -> None:
    fault = Fault(lambda each: each.method == method, None, times=2)
    server.faults.append(fault)
    assert hem("apply", "-f", spec) == 0
    assert fault.times == 0
    assert len(server.objects("InferenceService")) == 7


def when_graphs_are_there(server: ApiServer, act: Callable[[], None]) -> None:
    """As a controller, which sees objects come and acts."""

    def follow() -> None:
        while len(server.objects("InferenceGraph")) < 2:
            server.changed.wait(1)
            server.changed.clear()
        act()

    threading.Thread(target=follow, daemon=True).start()


def test_a_part_that_becomes_ready_later_is_seen_by_the_watch(
    server: ApiServer, hem: Hem, spec: Path
) -> None:
    hem("apply", "-f", spec)
    reconcile(server)
    server.update("InferenceGraph", "shop-till-2", lambda each: each.pop("status"))

    def later() -> None:
        server.watched.wait(20)
        make_ready(server, "InferenceGraph", "shop-till-2")

    threading.Thread(target=later, daemon=True).start()
    assert hem("apply", "-f", spec, "--wait", "--timeout", "60") == 0
