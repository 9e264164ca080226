"""`hem apply` against a Kubernetes API on a socket: what is sent, in which order, and what goes."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from inferencegraph.spec.schema import crd
from tests.conftest import ROOT
from tests.inferencegraph.cluster.api_server import ApiServer
from tests.inferencegraph.cluster.api_store import APPLY
from tests.inferencegraph.cluster.conftest import PLAIN, SPEC, Hem, plain, printed, written
from tests.inferencegraph.cluster.shop import OWNER, SERVICES

Capture = pytest.CaptureFixture[str]


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


def test_a_namespace_among_the_files_is_made_first(
    server: ApiServer, hem: Hem, tmp_path: Path
) -> None:
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
    path = written(tmp_path / "a.yaml", plain("one"), namespace)
    assert hem("apply", "-f", path, "--namespace", "shop", "--owner", "me") == 0
    made = server.objects("ConfigMap")["one"]
    assert made["metadata"]["namespace"] == "shop"
    assert OWNER not in server.objects("Namespace")["shop"]["metadata"].get("labels", {})


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
