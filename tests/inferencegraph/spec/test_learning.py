"""`feedback` and `retrain` of a spec: HEM's store, the versions' volume and the jobs; what can't
work is refused when the spec is read."""

from typing import Any

import pytest

from tests.inferencegraph.spec.documents import (
    Object,
    by_name,
    errors_of,
    read,
    service,
    spec,
    told,
    variables,
)
from transformers_hem.versions.locks import LockedError

SECRET = {"secret": {"name": "feedback"}}
KEPT = {"store": SECRET, "shadow": 0.02}
IN_A_FILE = {"store": {"hostPath": "/data"}, "shadow": 0.02}
ROUTER = {"name": "LinearRouter", "router": "embedded:linear"}
LABELS = {"mountPath": "/mnt/labels", "configMap": "labels", "readOnly": True}
LABELLED = {"data": ["/mnt/labels/labels.jsonl"], "volumes": [LABELS]}
HOST = "kubernetes.io/hostname"
TERM = {"matchExpressions": [{"key": HOST, "operator": "In", "values": ["till"]}]}
BOUND = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [TERM]}}
WISHED = {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "preference": TERM}]}
SIDECAR = {"name": "ConfidenceRouter", "threshold": 0.5, "placement": "sidecar"}


def mining(**fields: Any) -> Object:
    return {"hardExampleMining": {**ROUTER, **fields}}


def jobs(**fields: Any) -> dict[str, Object]:
    """The jobs of the spec, by the component that they are; a CronJob's schedule with them."""
    found = read(spec(**{"feedback": KEPT, "retrain": {}, **fields}))
    assert errors_of(found) == []
    made = {}
    for each in by_name(found).values():
        if each["kind"] in ("Job", "CronJob"):
            job = each["spec"]["jobTemplate"] if each["kind"] == "CronJob" else each
            pod = job["spec"]["template"]["spec"]
            name = each["metadata"]["labels"]["app.kubernetes.io/component"]
            assert each["metadata"]["name"].startswith(f"shop-{name}")
            made[name] = {**pod, "schedule": each["spec"].get("schedule")}
    return made


def command(pod: Object) -> str:
    (container,) = pod["containers"]
    return " ".join([*container["command"], *container["args"]])


def test_hem_serves_the_version_in_force_and_keeps_feedback() -> None:
    found = read(spec(feedback={**KEPT, "shadowEdge": 0.3}, retrain={}))
    assert errors_of(found) == []
    pod = service(found, "shop-hem")
    (container,) = pod["containers"]
    values = variables(container)
    assert values["HEM_ROUTER"] == "/mnt/versions"
    assert values["HEM_FEEDBACK_SHADOW"] == "0.02"
    assert values["HEM_FEEDBACK_SHADOW_EDGE"] == "0.3"
    assert not {"HEM_ALGORITHM", "HEM_THRESHOLD", "HEM_PARAMETERS"} & values.keys()
    (store,) = [each for each in container["env"] if each["name"] == "HEM_FEEDBACK_STORE"]
    reference = {"name": "feedback", "key": "url"}
    assert store["valueFrom"] == {"secretKeyRef": reference}, "the pod waits for the Secret"
    (mount,) = [each for each in container["volumeMounts"] if each["mountPath"] == "/mnt/versions"]
    assert mount["readOnly"] is True
    (volume,) = [each for each in pod["volumes"] if each["name"] == mount["name"]]
    assert volume["persistentVolumeClaim"] == {"claimName": "shop-versions"}


def test_the_jobs_begin_retrain_and_check() -> None:
    made = jobs()
    assert {name: command(pod) for name, pod in made.items()} == {
        "first-version": "hem retrain --add=embedded:linear --first",
        "retrain": "hem retrain --max-quality-loss=0.05",
        "check": "hem retrain --check",
    }
    assert {name: pod["schedule"] for name, pod in made.items()} == {
        "first-version": None,
        "retrain": "15 3 * * *",
        "check": "*/5 * * * *",
    }
    for name, pod in made.items():
        (container,) = pod["containers"]
        assert container["image"] == "kserve-hem-transformer"
        assert variables(container)["HEM_ROUTER"] == "/mnt/versions"
        assert ("HEM_FEEDBACK_STORE" in variables(container)) == (name != "first-version")
        assert "affinity" not in pod, "PostgreSQL is reached from any node"
        writable = [m["mountPath"] for m in container["volumeMounts"] if not m.get("readOnly")]
        assert writable == ["/tmp", "/mnt/versions"]


def test_options_of_the_spec_are_those_of_the_command() -> None:
    asked = {
        **LABELLED,
        "schedule": "@weekly",
        "check": "off",
        "promise": {"maxQualityLoss": 0.02, "confidence": 0.95},
        "own": True,
        "limit": 20000,
        "significance": 0.2,
        "keep": 5,
        "resource": {"limits": {"cpu": 4, "memory": "8Gi"}},
    }
    made = jobs(retrain=asked, feedback={"store": SECRET})
    assert set(made) == {"first-version", "retrain"}
    assert made["retrain"]["schedule"] == "@weekly"
    options = "--max-quality-loss=0.02 --confidence=0.95 --data=/mnt/labels/labels.jsonl"
    own = "--own --limit=20000 --significance=0.2 --keep=5"
    assert command(made["retrain"]) == f"hem retrain {options} {own}"
    assert command(made["first-version"]).endswith("--first --keep=5")
    (container,) = made["retrain"]["containers"]
    assert container["resources"]["limits"] == {"cpu": "4", "memory": "8Gi"}
    mounts = {each["mountPath"]: each["name"] for each in container["volumeMounts"]}
    volumes = {each["name"]: each for each in made["retrain"]["volumes"]}
    assert volumes[mounts["/mnt/labels"]]["configMap"]["name"] == "labels"


def test_a_promised_share_at_the_edge_has_nothing_to_check() -> None:
    made = jobs(retrain={"promise": {"edgeRatio": 0.5}})
    assert command(made["retrain"]) == "hem retrain --edge-ratio=0.5"
    assert "check" not in made


def test_several_nodes_have_one_store_one_volume_and_one_set_of_jobs() -> None:
    found = read(spec(edge={"nodes": ["a", "b"]}, feedback=KEPT, retrain={}))
    assert errors_of(found) == []
    kinds = [each["kind"] for each in by_name(found).values()]
    assert [kinds.count(kind) for kind in ("Job", "CronJob", "PersistentVolumeClaim")] == [1, 2, 1]
    for node in "ab":
        values = variables(service(found, f"shop-{node}-hem")["containers"][0])
        assert values["HEM_ROUTER"] == "/mnt/versions"


def test_jobs_run_beside_the_hem_that_writes_a_file() -> None:
    kept = {"store": {"claim": "feedback"}, "shadow": 0.02}
    found = read(spec(edge={"nodes": ["till"]}, feedback=kept, retrain={}))
    assert errors_of(found) == []
    hem = service(found, "shop-hem")
    assert variables(hem["containers"][0])["HEM_FEEDBACK_STORE"] == "/mnt/feedback/feedback.db"
    versions = by_name(found)["PersistentVolumeClaim/shop-versions"]["spec"]
    assert versions["accessModes"] == ["ReadWriteOnce"], "all are on one node"
    for name, pod in jobs(edge={"nodes": ["till"]}, feedback=kept).items():
        (term,) = pod["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        chosen = {"matchLabels": {"app": "isvc.shop-hem-predictor"}}
        assert term == {"labelSelector": chosen, "topologyKey": "kubernetes.io/hostname"}
        assert pod["tolerations"] == hem["tolerations"]
        files = [mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]]
        assert ("/mnt/feedback" in files) == (name != "first-version")


def test_jobs_run_on_a_tainted_node_that_the_template_names() -> None:
    shop = {"key": "shop", "operator": "Exists"}
    pod = {"nodeSelector": {HOST: "till"}, "tolerations": [shop], "containers": []}
    edge = {"template": {"spec": pod}}
    found = read(spec(edge=edge, feedback=IN_A_FILE, retrain={}))
    tolerations = service(found, "shop-hem")["tolerations"]
    assert shop in tolerations
    for job in jobs(edge=edge, feedback=IN_A_FILE).values():
        assert job["tolerations"] == tolerations


def test_a_volume_of_one_node_keeps_the_jobs_there() -> None:
    made = jobs(retrain={"versions": {"accessMode": "ReadWriteOnce"}})
    assert all("podAffinity" in pod["affinity"] for pod in made.values())


def test_a_job_whose_pod_is_another_has_another_name() -> None:
    """The pod of a Job can't be changed: with the same name it would be refused."""

    def names(tag: str) -> set[str]:
        found = read(spec(feedback=KEPT, retrain={}, images={"tag": tag}))
        return {name for name in by_name(found) if name.startswith("Job/")}

    assert names("9") == names("9") and not names("9") & names("10")


def test_hem_may_write_to_a_claim_with_its_store() -> None:
    for edge in ({}, {"hardExampleMining": SIDECAR}):
        found = read(spec(edge=edge, feedback={"store": {"claim": "kept"}}))
        assert errors_of(found) == []
        pods = [
            part
            for each in by_name(found).values()
            if each["kind"] == "InferenceService"
            for part in each["spec"].values()
            if "/mnt/feedback" in str(part)
        ]
        assert [pod["securityContext"]["fsGroup"] for pod in pods] == [1000]


def test_a_volume_of_one_node_that_is_there_keeps_the_jobs_there() -> None:
    made = jobs(retrain={"versions": {"claim": "mine", "accessMode": "ReadWriteOnce"}})
    assert all("podAffinity" in pod["affinity"] for pod in made.values())


def test_where_feedback_comes_from_may_be_named() -> None:
    found = read(spec(gateway={"settings": {"feedback_origin": "shop"}}, feedback=KEPT))
    assert errors_of(found) == []
    (container,) = service(found, "shop-hem")["containers"]
    assert variables(container)["HEM_FEEDBACK_ORIGIN"] == "shop"


def test_a_volume_that_is_there_is_not_made() -> None:
    found = read(spec(feedback=KEPT, retrain={"versions": {"claim": "mine"}}))
    assert errors_of(found) == []
    assert not [name for name in by_name(found) if name.startswith("PersistentVolumeClaim/")]
    volumes = service(found, "shop-hem")["volumes"]
    assert {"claimName": "mine"} in [each.get("persistentVolumeClaim") for each in volumes]


def test_feedback_alone_leaves_the_router_as_it_is() -> None:
    push = {"url": "https://central.example.com", "secret": {"name": "central"}}
    kept = {"store": {"hostPath": "/data"}, "text": True, "days": 30.0, "push": push}
    found = read(spec(edge={"nodes": ["a", "b"]}, feedback=kept))
    assert errors_of(found) == []
    assert not [each for each in by_name(found).values() if each["kind"] in ("Job", "CronJob")]
    pod = service(found, "shop-a-hem")
    values = variables(pod["containers"][0])
    assert values["HEM_ROUTER"] == "embedded:linear"
    assert values["HEM_FEEDBACK_STORE"] == "/mnt/feedback/feedback.db"
    assert (values["HEM_FEEDBACK_TEXT"], values["HEM_FEEDBACK_DAYS"]) == ("on", "30")
    assert values["HEM_FEEDBACK_PUSH"] == "https://central.example.com"
    assert values["HEM_FEEDBACK_PUSH_KEY_FILE"] == "/etc/hem/push/key"
    secrets = [each["secret"]["secretName"] for each in pod["volumes"] if "secret" in each]
    assert "central" in secrets


def test_files_that_nobody_reads_together_are_warned_of() -> None:
    (said,) = told(read(spec(edge={"nodes": ["a", "b"]}, feedback=IN_A_FILE)), "warning")
    assert said.startswith("spec.feedback.store.hostPath: each of 2 nodes keeps a file of its own")
    assert "write push: {url: ...}, of a central HEM, or secret" in said
    pushed = {**IN_A_FILE, "push": {"url": "https://central.example.com"}}
    assert not told(read(spec(edge={"nodes": ["a", "b"]}, feedback=pushed)), "warning")
    assert not told(read(spec(edge={"nodes": ["a"]}, feedback=IN_A_FILE)), "warning")


@pytest.mark.parametrize(
    "edge",
    [
        {"nodes": ["till"]},
        {"nodes": [{"name": "shop", "labels": {"example.com/shop": "7"}}]},
        {"nodeSelector": {HOST: "till"}},
        {"template": {"spec": {"nodeName": "till", "containers": []}}},
        {"template": {"spec": {"nodeSelector": {HOST: "till"}, "containers": []}}},
        {"template": {"spec": {"affinity": {"nodeAffinity": BOUND}, "containers": []}}},
    ],
    ids=str,
)
def test_a_file_of_one_named_node_may_be_learned_from(edge: Object) -> None:
    made = jobs(edge=edge, feedback=IN_A_FILE)
    assert "podAffinity" in made["retrain"]["affinity"]


def test_the_registrys_password_is_the_jobs_too() -> None:
    for pod in jobs(images={"pullSecret": "mine", "tag": "9"}).values():
        assert pod["imagePullSecrets"] == [{"name": "mine"}]
        assert pod["containers"][0]["image"] == "kserve-hem-transformer:9"


BERT = {"name": "BERTRouter", "parameters": [{"name": "model", "value": "routellm/bert"}]}


@pytest.mark.parametrize(
    ("document", "field", "message"),
    [
        (spec(retrain={}), "retrain", "nothing to learn from: say by spec.feedback.store"),
        (spec(feedback={}), "feedback.store", "is required"),
        (spec(feedback={"store": {}}), "feedback.store", "needs one of secret, claim and host"),
        (
            spec(edge={"nodes": ["a", "b"]}, feedback={"store": {"claim": "kept"}}),
            "feedback.store.claim",
            "a file is written by one HEM alone, and 2 nodes have one; write secret",
        ),
        (
            spec(
                edge={"hardExampleMining": SIDECAR, "replicas": 3},
                feedback={"store": {"claim": "kept"}},
            ),
            "feedback.store.claim",
            "and there are up to 3, as it stands in the edge model's pods; write secret",
        ),
        (
            spec(edge={"nodes": ["a", "b"]}, feedback=IN_A_FILE, retrain={}),
            "feedback.store.hostPath",
            "each of 2 nodes has a file of its own, and a retraining reads one store",
        ),
        (
            spec(feedback=IN_A_FILE, retrain={}),
            "feedback.store.hostPath",
            "whichever edge node HEM runs on, and another node begins with none of what a retr",
        ),
        (
            spec(
                edge={
                    "template": {"spec": {"affinity": {"nodeAffinity": WISHED}, "containers": []}}
                },
                feedback=IN_A_FILE,
                retrain={},
            ),
            "feedback.store.hostPath",
            "name the node in spec.edgeWorker.nodes (labels have to be of one node alone), or",
        ),
        (
            spec(feedback={**KEPT, "shadowEdge": 0}, retrain=LABELLED),
            "feedback.shadowEdge",
            "is 0, so that nothing the cloud has answered is asked of the edge, and pairs of one",
        ),
        (
            spec(feedback={"store": SECRET, "shadowEdge": 0.1}, retrain=LABELLED),
            "feedback.shadowEdge",
            "stands without shadow, so that nothing the edge has answered is asked of the cloud",
        ),
        (spec(feedback={"store": SECRET}, retrain={}), "retrain", "nothing is ever promoted"),
        (
            spec(gateway={"enabled": False}, feedback=KEPT),
            "feedback.shadow",
            "is of the gateway's answers, and there is no gateway",
        ),
        (
            spec(gateway={"enabled": False}, feedback={"store": SECRET, "shadowEdge": 0.3}),
            "feedback.shadowEdge",
            "is of the gateway's answers, and there is no gateway",
        ),
        (
            spec(gateway={"settings": {"feedback_store": "/data/f.db"}}, feedback=KEPT),
            "gateway.settings.feedback_store",
            "spec.feedback has a field for it",
        ),
        (spec(feedback={**KEPT, "scorer": "f1"}), "feedback.scorer", "unknown scorer 'f1'"),
        (
            spec(feedback={**KEPT, "push": {"url": "https://central.example.com"}}),
            "feedback.push",
            "sends a file on, and the store is PostgreSQL",
        ),
        (
            spec(edge={"hardExampleMining": BERT}, feedback=KEPT),
            "feedback",
            "BERTRouter runs by torch, in the predictor's image, which has no database",
        ),
        (
            spec(edge={"hardExampleMining": SIDECAR}, feedback=KEPT, retrain={}),
            "retrain",
            "ConfidenceRouter is not retrained by these jobs: LinearRouter is",
        ),
        (
            spec(edge=mining(threshold=0.5), feedback=KEPT, retrain={}),
            "edgeWorker.hardExampleMining.threshold",
            "each version brings its own; leave it out",
        ),
        (
            spec(edge=mining(router="s3://bucket/router"), feedback=KEPT, retrain={}),
            "edgeWorker.hardExampleMining.router",
            "is the first version: embedded:NAME, or a folder in HEM's image",
        ),
        (
            spec(
                edge=mining(
                    router="/mnt/own/router", volumes=[{"mountPath": "/mnt/own", "claim": "mine"}]
                ),
                feedback=KEPT,
                retrain={},
            ),
            "edgeWorker.hardExampleMining.router",
            "/mnt/own/router is on a volume, which the job that puts the first version into place",
        ),
        (
            spec(
                edge=mining(volumes=[{"mountPath": "/mnt/versions/", "claim": "mine"}]),
                feedback=KEPT,
                retrain={},
            ),
            "edgeWorker.hardExampleMining.volumes[0].mountPath",
            "/mnt/versions/ is where HEM has its own; give another",
        ),
        (
            spec(feedback=KEPT, retrain={"schedule": "at night"}),
            "retrain.schedule",
            "'at night' has 2 fields; it needs 5",
        ),
        (
            spec(feedback=KEPT, retrain={"promise": {"edgeRatio": 0.5}, "check": "@hourly"}),
            "retrain.check",
            "checks a promised quality loss: write promise.maxQualityLoss",
        ),
        (
            spec(feedback=KEPT, retrain={"promise": {"maxQualityLoss": 0.1, "confidence": 0.1}}),
            "retrain.promise.confidence",
            "is 0.1; it is from 0.5 to 0.9999",
        ),
        (
            spec(feedback=KEPT, retrain={"data": ["labels.jsonl"]}),
            "retrain.data[0]",
            "labels.jsonl is in none of spec.retrain.volumes",
        ),
        (
            spec(
                edge={"nodes": ["a", "b"]},
                feedback=KEPT,
                retrain={"versions": {"accessMode": "ReadWriteOnce"}},
            ),
            "retrain.versions.accessMode",
            "pods on 2 nodes mount it: ReadWriteMany",
        ),
        (
            spec(feedback=KEPT, retrain={"versions": {"claim": "mine", "size": "1Gi"}}),
            "retrain.versions",
            "has a claim that is there, and size",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_can_not_work_is_one_error(document: Object, field: str, message: str) -> None:
    (fault,) = told(read(document), "error")
    assert fault.startswith(f"spec.{field}: ") and message in fault


def test_shares_of_both_sides_are_taken_and_so_are_labelled_rows_without_any() -> None:
    for kept in ({"shadow": 0.02, "shadowEdge": 0.3}, {"shadow": 0, "shadowEdge": 0}, {}):
        assert "retrain" in jobs(feedback={"store": SECRET, **kept}, retrain=LABELLED)


def test_a_job_that_meets_somebodys_own_retraining_is_tried_again() -> None:
    found = read(spec(feedback=KEPT, retrain={}))
    assert errors_of(found) == []
    for name in ("retrain", "check"):
        job = by_name(found)[f"CronJob/shop-{name}"]["spec"]["jobTemplate"]["spec"]
        (rule,) = job["podFailurePolicy"]["rules"]
        codes = {"containerName": name, "operator": "In", "values": [LockedError.exit_code]}
        assert rule == {"action": "Ignore", "onExitCodes": codes}
        assert job["backoffLimit"] == 0, "whatever else fails has to be mended first"


def test_how_much_one_client_may_send_is_said() -> None:
    found = read(spec(feedback={**KEPT, "perMinute": 0}))
    assert errors_of(found) == []
    (container,) = service(found, "shop-hem")["containers"]
    assert variables(container)["HEM_FEEDBACK_PER_MINUTE"] == "0"


def test_a_side_alone_has_nothing_to_keep() -> None:
    document = spec(feedback=KEPT)
    del document["spec"]["cloudWorker"], document["spec"]["edgeWorker"]["hardExampleMining"]
    (fault,) = told(read(document), "error")
    assert fault.startswith("spec.feedback: is about HEM's decisions")
