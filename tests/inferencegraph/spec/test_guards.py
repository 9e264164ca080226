"""`hardExampleMining.guards` and the files that they need: checked when a spec is read."""

import json
import re
from pathlib import Path
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
from transformers_hem.guards.settings import read_guards

PRICES = {"gateway": {"settings": {"prices_file": "/etc/hem/prices.yaml"}}}
VOLUMES = [
    {"mountPath": "/var/lib/hem", "hostPath": "/var/lib/hem"},
    {"mountPath": "/etc/hem", "configMap": "hem-files", "readOnly": True},
    {"mountPath": "/keys", "secret": "hem-keys"},
    {"mountPath": "/state", "claim": "hem-state"},
]


def guard(name: str, **parameters: Any) -> Object:
    return {"name": name, "parameters": [{"name": k, "value": v} for k, v in parameters.items()]}


def mining(*guards: Object, volumes: Any = (), **fields: Any) -> Object:
    part = {"name": "LinearRouter", "router": "embedded:linear", "guards": list(guards)}
    return spec(edge={"hardExampleMining": {**part, "volumes": list(volumes)}}, **fields)


EACH = [
    guard("PrivacyGuard", kinds="card,iban"),
    guard("BudgetGuard", state="/var/lib/hem/budget.db", money=5, window="1d"),
    guard("RateGuard", calls=60, window="1m"),
    guard("AvailabilityGuard"),
    guard("MaintenanceGuard", file="/etc/hem/maintenance"),
    guard("LanguageGuard", languages="en", others="cloud"),
    guard("TopicGuard", words="/etc/hem/words"),
    guard("ResourceSensitiveRouter", cpu_threshold=95),
]


def test_every_guard_may_be_set_and_reaches_hem() -> None:
    made = read(mining(*EACH, **PRICES))
    assert not errors_of(made)
    values = variables(service(made, "shop-hem")["containers"][0])
    found = read_guards(values["HEM_GUARDS"])
    assert list(found) == [each["name"] for each in EACH]
    budget = {"state": "/var/lib/hem/budget.db", "money": "5", "window": "1d"}
    assert found["BudgetGuard"] == budget
    assert values["HEM_PRICES_FILE"] == "/etc/hem/prices.yaml"


def test_volumes_are_hems_and_nobody_elses() -> None:
    made = read(mining(volumes=VOLUMES))
    assert not errors_of(made)
    pod = service(made, "shop-hem")
    mounts = {each["mountPath"]: each for each in pod["containers"][0]["volumeMounts"]}
    volumes = {each["name"]: each for each in pod["volumes"]}

    def source(path: str) -> Object:
        named = dict(volumes[mounts[path]["name"]])
        del named["name"]
        return named

    assert source("/var/lib/hem") == {"hostPath": {"path": "/var/lib/hem", "type": "Directory"}}
    assert source("/etc/hem") == {"configMap": {"name": "hem-files", "optional": True}}
    assert source("/keys") == {"secret": {"secretName": "hem-keys", "optional": True}}
    assert source("/state") == {"persistentVolumeClaim": {"claimName": "hem-state"}}
    assert mounts["/etc/hem"]["readOnly"] and "readOnly" not in mounts["/state"]
    assert not any("hem-state" in json.dumps(service(made, f"shop-{x}")) for x in ("edge", "cloud"))


def test_the_callers_keys_may_be_a_folder() -> None:
    for settings, path in (({}, "/etc/hem/keys/keys"), ({"api_keys_file": "/a"}, "/a")):
        made = read(mining(gateway={"settings": settings}))
        values = variables(service(made, "shop-hem")["containers"][0])
        assert values["HEM_API_KEYS_FILE"] == path


def test_a_relative_path_begins_at_the_specs_folder(tmp_path: Path) -> None:
    made = read(mining(guard("TopicGuard", words="./words")), folder=tmp_path)
    values = variables(service(made, "shop-hem")["containers"][0])
    assert read_guards(values["HEM_GUARDS"]) == {"TopicGuard": {"words": str(tmp_path / "words")}}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (mining(guard("Budget")), "unknown guard 'Budget'; known: .* did you mean 'BudgetGuard'"),
        (mining(guard("BudgetGuard", state="b")), "needs what may be spent"),
        (mining(guard("BudgetGuard", state="b", money=5)), "money needs prices"),
        (mining(guard("RateGuard", calls=5, window="soon")), "as 90s, 5m, 1h, 30d"),
        (mining(guard("RateGuard", calls=5, per="x")), "RateGuard has no parameter 'per'"),
        (mining(guard("AvailabilityGuard"), gateway={"enabled": False}), "needs url"),
        (mining(volumes=[{"mountPath": "/x"}]), "needs one of claim, hostPath, configMap"),
        (mining(volumes=[{"mountPath": "x", "claim": "c"}]), "mountPath"),
        (mining(volumes=[{"mountPath": "/etc/hem/keys/", "claim": "c"}]), "else is mounted at"),
        (mining(volumes=[{"mountPath": "/x", "claim": c} for c in "ab"]), "mounted at /x"),
        (mining(volumes=[{**VOLUMES[0], "claim": "c"}]), "needs one of claim, hostPath"),
    ],
)
def test_what_can_not_be_is_told_before_anything_is_rendered(content: Object, says: str) -> None:
    made = read(content)
    (line,) = told(made, "error")
    assert line.startswith("spec.edgeWorker.hardExampleMining")
    assert re.search(says, line), line
    assert "InferenceGraph/shop" not in by_name(made)
