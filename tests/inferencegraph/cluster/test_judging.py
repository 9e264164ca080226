"""`hem validate --server` against a Kubernetes API on a socket: what it refuses, at its field."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from inferencegraph.read.documents import MANIFESTS
from inferencegraph.spec.schema import crd
from tests.conftest import free_port
from tests.inferencegraph.cluster.api_refusals import forbidden, status
from tests.inferencegraph.cluster.api_server import ApiServer, Fault
from tests.inferencegraph.cluster.conftest import Hem, kubeconfig_of, printed, written

Capture = pytest.CaptureFixture[str]
SITE = MANIFESTS / "answer-generation/mining-then-inference"
# An error that is found without a cluster.
WRONG = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "dat": {}}


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A site in one file, whose lines are its objects' own."""
    files = sorted(each for each in SITE.glob("*.yaml") if each.name != "kustomization.yaml")
    contents = [each for file in files for each in yaml.safe_load_all(file.read_text()) if each]
    return written(tmp_path / "site.yaml", *contents)


def line(file: Path, problem: dict[str, Any]) -> str:
    return file.read_text().splitlines()[problem["line"] - 1].strip()


def findings(capsys: Capture, rule: str = "server") -> list[dict[str, Any]]:
    return [each for each in printed(capsys) if each["rule"].startswith(rule)]


def errors(capsys: Capture) -> list[dict[str, Any]]:
    return [each for each in printed(capsys) if each["severity"] == "error"]


def test_what_the_server_takes_has_no_findings_and_nothing_is_changed(
    server: ApiServer, hem: Hem, site: Path, capsys: Capture
) -> None:
    before = server.objects("InferenceService")
    assert hem("validate", "-f", site, "--server") == 0
    assert capsys.readouterr().out == "5 objects, 0 errors, 0 warnings\n"
    sent = [each for each in server.requests if each.method != "GET"]
    assert {each.path.split("/")[-2] for each in sent if each.method == "PATCH"} == {
        "inferenceservices",
        "inferencegraphs",
    }
    assert {each.path.split("/")[-1] for each in sent if each.method == "POST"} == {
        "deployments",
        "services",
        "horizontalpodautoscalers",
    }
    assert all(each.is_dry_run for each in sent)
    assert server.objects("InferenceService") == before


def test_a_specs_objects_are_asked_too(
    server: ApiServer, hem: Hem, spec: Path, capsys: Capture
) -> None:
    assert hem("validate", "-f", spec, "--server") == 0
    assert len(server.sent("PATCH", dry_run=True)) == 9


def test_each_field_that_is_refused_is_an_error_with_its_line(
    server: ApiServer, hem: Hem, site: Path, capsys: Capture
) -> None:
    def refuse(content: dict[str, Any]) -> dict[str, str] | None:
        field = "spec.routerTimeouts.serviceClient"
        return {field: "must be odd"} if content["kind"] == "InferenceGraph" else None

    server.refuse = refuse
    assert hem("validate", "-f", site, "--server", "--json") == 1
    [problem] = findings(capsys)
    assert problem["rule"] == "server"
    assert problem["field"] == "spec.routerTimeouts.serviceClient"
    assert problem["message"] == "must be odd"
    assert line(site, problem).startswith("serviceClient:")


def test_what_kserve_would_make_is_refused_at_the_users_field(
    server: ApiServer, hem: Hem, site: Path, tmp_path: Path, capsys: Capture
) -> None:
    def refuse(content: dict[str, Any]) -> dict[str, str] | None:
        if content["kind"] != "Deployment" or not content["metadata"]["name"].startswith("qa-edge"):
            return None
        return {"spec.template.spec.containers[0].resources.limits[cpu]": 'Invalid value: "2"'}

    server.refuse = refuse
    sarif = tmp_path / "found.sarif"
    assert hem("validate", "-f", site, "--server", "--json", "--sarif", sarif) == 1
    [problem] = findings(capsys)
    assert problem["rule"] == "server-pods"
    assert problem["object"] == "InferenceService/qa-edge"
    assert problem["field"] == "spec.predictor.containers[0].resources.limits.cpu"
    assert problem["message"].startswith(
        "KServe would make Deployment 'qa-edge-predictor', which is refused: Invalid value"
    )
    assert line(site, problem).startswith("cpu:")
    [run] = json.loads(sarif.read_text())["runs"]
    [told] = run["results"]
    region = told["locations"][0]["physicalLocation"]["region"]
    assert (told["ruleId"], region["startLine"]) == ("server-pods", problem["line"])


@pytest.mark.parametrize(
    ("kind", "field", "told"),
    [
        ("Deployment", "spec.template.spec.containers[7].image", "containers[7].image: no"),
        ("Deployment", "spec.strategy.rollingUpdate.maxSurge", "spec.strategy.rollingUpdate"),
        ("Service", "spec.ports[0].name", "KServe would make Service 'qa-edge-predictor'"),
        ("HorizontalPodAutoscaler", "spec.maxReplicas", "spec.maxReplicas: no"),
        ("Deployment", "metadata.name", "no"),
    ],
)
def test_what_the_user_did_not_write_is_told_at_the_nearest_field(
    kind: str, field: str, told: str, server: ApiServer, hem: Hem, site: Path, capsys: Capture
) -> None:
    def refuse(content: dict[str, Any]) -> dict[str, str] | None:
        of_edge = content["metadata"]["name"] == "qa-edge-predictor"
        return {field: "no"} if of_edge and content["kind"] == kind else None

    server.refuse = refuse
    if kind == "HorizontalPodAutoscaler":
        documents = list(yaml.safe_load_all(site.read_text()))
        for each in documents:
            each["metadata"]["annotations"].pop("serving.kserve.io/autoscalerClass", None)
        written(site, *documents)
    assert hem("validate", "-f", site, "--server", "--json") == 1
    [problem] = findings(capsys)
    assert problem["field"] == ("metadata.name" if field == "metadata.name" else "spec.predictor")
    assert told in problem["message"]


def test_an_error_that_is_known_without_a_cluster_is_told_once(
    server: ApiServer, hem: Hem, site: Path, capsys: Capture
) -> None:
    documents = list(yaml.safe_load_all(site.read_text()))
    graph = next(each for each in documents if each["kind"] == "InferenceGraph")
    graph["spec"]["routerTimeouts"]["serviceClient"] = "180s"
    field = "spec.routerTimeouts.serviceClient"
    server.refuse = lambda content: {field: "no"} if content["kind"] == "InferenceGraph" else None
    assert hem("validate", "-f", written(site, *documents), "--server", "--json") == 1
    [problem] = errors(capsys)
    assert problem["rule"] == "fields"


def test_the_clusters_own_crds_say_which_fields_there_are(
    server: ApiServer, hem: Hem, tmp_path: Path, capsys: Capture
) -> None:
    """A field that is new there is none of ours, and no error; a misspelt one is, with its line."""
    free = {"x-kubernetes-preserve-unknown-fields": True}
    known = {"newer": {"type": "string"}, "containers": free, "supportedModelFormats": free}
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {
            **{key: {"type": "string"} for key in ("apiVersion", "kind")},
            "metadata": {"type": "object"},
            "spec": {"type": "object", "properties": known},
        },
        "x-kubernetes-validations": [{"rule": "true"}],
    }
    definition = copy.deepcopy(crd())
    definition["metadata"]["name"] = "servingruntimes.serving.kserve.io"
    names = {"kind": "ServingRuntime", "plural": "servingruntimes"}
    definition["spec"] |= {"group": "serving.kserve.io", "names": names}
    definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = schema
    server.put(definition)
    runtime = {
        "apiVersion": "serving.kserve.io/v1alpha1",
        "kind": "ServingRuntime",
        "metadata": {"name": "r"},
        "spec": {
            "newer": "x",
            "newre": "x",
            "supportedModelFormats": [{"name": "x"}],
            "containers": [{"name": "kserve-container", "image": "i"}],
        },
    }
    path = written(tmp_path / "a.yaml", runtime)
    assert hem("validate", "-f", path, "--server", "--json") == 1
    told = printed(capsys)
    assert "note" not in {each["severity"] for each in told}  # the server evaluates CEL
    [problem] = [each for each in told if each["severity"] == "error"]
    assert (problem["rule"], problem["field"]) == ("schema", "spec.newre")
    assert line(path, problem) == "newre: x"
    answer = forbidden("get", "customresourcedefinitions", "apiextensions.k8s.io", "default")
    server.faults.append(Fault(lambda each: "customresource" in each.path, answer, times=99))
    assert hem("validate", "-f", path, "--server", "--json") == 1
    assert {each["rule"] for each in errors(capsys)} == {"fields"}  # by what is known here


def test_who_may_not_make_deployments_gets_one_note(
    server: ApiServer, hem: Hem, site: Path, capsys: Capture
) -> None:
    answer = forbidden("create", "deployments", "apps", "default")
    server.faults.append(Fault(lambda each: each.method == "POST", answer, times=99))
    assert hem("validate", "-f", site, "--server", "--json") == 0
    [problem] = printed(capsys)
    assert (problem["severity"], problem["rule"]) == ("note", "server-pods")
    assert "not tried out what KServe would make" in problem["message"]
    assert "kubectl auth can-i create deployments" in problem["message"]


def test_who_may_not_apply_gets_one_note_for_each_kind(
    server: ApiServer, hem: Hem, site: Path, capsys: Capture
) -> None:
    for plural in ("inferenceservices", "inferencegraphs"):
        answer = forbidden("patch", plural, "serving.kserve.io", "default")
        path = f"/{plural}/"
        server.faults.append(Fault(lambda each, path=path: path in each.path, answer, times=99))  # type: ignore[misc]
    assert hem("validate", "-f", site, "--server", "--json") == 0
    told = printed(capsys)
    assert [each["severity"] for each in told] == ["note", "note"]
    assert all("not asked of the API server: no permission to patch" in e["message"] for e in told)


def test_a_cluster_without_kserve_is_told_once_for_each_kind(
    server: ApiServer, hem: Hem, site: Path, capsys: Capture
) -> None:
    for version in [each for each in server.kinds if each.startswith("serving.kserve.io")]:
        del server.kinds[version]
    assert hem("validate", "-f", site, "--server", "--json") == 1
    told = printed(capsys)
    assert len(told) == 2
    assert all("KServe is not installed there" in each["message"] for each in told)


def test_an_older_crd_is_told_at_the_field_that_it_lacks(
    server: ApiServer, hem: Hem, site: Path, capsys: Capture
) -> None:
    server.unknown_fields["InferenceGraph"] = ("spec.routerTimeouts",)
    assert hem("validate", "-f", site, "--server", "--json") == 1
    [problem] = printed(capsys)
    assert problem["field"] == "spec.routerTimeouts"
    assert problem["message"].startswith("the cluster doesn't know the field spec.routerTimeouts")
    assert line(site, problem) == "routerTimeouts:"


def test_a_webhook_that_is_down_is_told_once(
    server: ApiServer, hem: Hem, site: Path, capsys: Capture
) -> None:
    text = 'failed calling webhook "a": dial tcp: connection refused'
    answer = 500, status(500, "InternalError", text)
    server.faults.append(Fault(lambda each: each.method == "PATCH", answer, times=99))
    assert hem("validate", "-f", site, "--server", "--json") == 1
    [problem] = printed(capsys)
    assert "is what answers that webhook running" in problem["message"]


def test_a_namespace_that_is_not_there_is_told_once(
    server: ApiServer, hem: Hem, site: Path, capsys: Capture
) -> None:
    assert hem("validate", "-f", site, "--server", "--namespace", "shop", "--json") == 1
    [problem] = printed(capsys)
    assert problem["field"] == "metadata.namespace"
    assert "namespace 'shop' does not exist" in problem["message"]


def test_what_is_in_a_namespace_of_the_same_files_is_not_asked(
    server: ApiServer, hem: Hem, site: Path, capsys: Capture
) -> None:
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
    path = written(site, namespace, *yaml.safe_load_all(site.read_text()))
    assert hem("validate", "-f", path, "--server", "--namespace", "shop", "--json") == 0
    [problem] = printed(capsys)
    assert problem["severity"] == "note"
    assert "are only made here" in problem["message"]
    assert "and 2 others" in problem["message"]


def test_an_object_of_another_namespace_is_told(
    server: ApiServer, hem: Hem, tmp_path: Path, capsys: Capture
) -> None:
    there = {**WRONG, "metadata": {"name": "x", "namespace": "one"}}
    path = written(tmp_path / "a.yaml", there)
    assert hem("validate", "-f", path, "--server", "--namespace", "two") == 2
    said = capsys.readouterr()
    assert "is of namespace 'one', but --namespace is 'two'" in said.err
    assert "unknown field 'dat'" in said.out


def test_an_object_without_a_name_is_not_sent(
    server: ApiServer, hem: Hem, tmp_path: Path, capsys: Capture
) -> None:
    path = written(tmp_path / "a.yaml", {**WRONG, "metadata": None})
    assert hem("validate", "-f", path, "--server") == 1
    assert not server.sent("PATCH")


@pytest.mark.parametrize("trouble", ["nobody", "no kubeconfig", "credentials", "silence"])
def test_a_server_that_can_not_be_asked_is_one_message_behind_the_findings(
    trouble: str,
    server: ApiServer,
    hem: Hem,
    kubeconfig: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
) -> None:
    told = {
        "nobody": "nobody answers there",
        "no kubeconfig": "no kubeconfig",
        "credentials": "refuses the kubeconfig's credentials (401",
        "silence": "no answer in time to patch configmaps 'x' in namespace 'default'; try again",
    }[trouble]
    if trouble == "nobody":
        settings = kubeconfig_of(f"http://127.0.0.1:{free_port()}")
        kubeconfig.write_text(yaml.safe_dump(settings))
    elif trouble == "credentials":
        kubeconfig.write_text(yaml.safe_dump(kubeconfig_of(server.url, token="old")))
    elif trouble == "silence":
        monkeypatch.setattr("inferencegraph.cluster.api.ANSWER_SECONDS", 0.3)
        server.hold = lambda request: request.method == "PATCH"
    else:
        kubeconfig.unlink()
    path = written(tmp_path / "a.yaml", WRONG)
    sarif = tmp_path / "found.sarif"
    assert hem("validate", "-f", path, "--server", "--sarif", sarif) == 2
    said = capsys.readouterr()
    assert "unknown field 'dat'" in said.out
    assert said.err.startswith("hem: error: ")
    assert told in said.err
    assert len(said.err.splitlines()) == 1
    assert len(json.loads(sarif.read_text())["runs"][0]["results"]) == 1
    if trouble == "silence":
        assert len(server.sent("PATCH")) == 2  # once more, and then it is enough


def test_the_kubeconfig_may_be_named(
    server: ApiServer, hem: Hem, kubeconfig: Path, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KUBECONFIG")
    monkeypatch.setenv("HOME", str(kubeconfig.parent))
    for command in ("validate", "apply"):
        server.requests.clear()
        options = ["--server"] if command == "validate" else ["--dry-run"]
        assert hem(command, "-f", site, *options, "--kubeconfig", kubeconfig) == 0
        assert server.requests


def test_a_cluster_is_named_only_with_server(hem: Hem, site: Path, capsys: Capture) -> None:
    assert hem("validate", "-f", site, "--namespace", "x") == 2
    assert "--namespace, --context and --kubeconfig say which --server" in capsys.readouterr().err
