"""`serviceAccount` of a worker: one that is there, or one that is made."""

from pathlib import Path

import pytest

from tests.inferencegraph.build.crds import refused
from tests.inferencegraph.spec.documents import (
    Object,
    by_name,
    errors_of,
    read,
    service,
    spec,
    told,
)

MADE: Object = {
    "name": "models",
    "create": True,
    "annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/models"},
    "secrets": ["s3-credentials"],
}
API: Object = {"model": {"name": "gpt", "url": "https://api.example.com/v1"}}


def test_one_that_is_made_is_what_the_models_pods_run_as(shared: Path) -> None:
    found = read(spec(edge={"serviceAccount": MADE, "nodes": ["a", "b"]}))
    assert errors_of(found) == []
    made = by_name(found)["ServiceAccount/models"]
    assert refused(shared / "crds", made) == []
    assert made["metadata"]["annotations"] == MADE["annotations"]
    assert made["secrets"] == [{"name": "s3-credentials"}]
    assert made["automountServiceAccountToken"] is False
    assert made["metadata"]["labels"]["kserve-hem.io/owner"] == "shop"
    for node in ("a", "b"):
        assert service(found, f"shop-{node}-edge")["serviceAccountName"] == "models"
        assert "serviceAccountName" not in service(found, f"shop-{node}-hem")


@pytest.mark.parametrize("account", ["models", {"name": "models"}])
def test_one_that_is_there_is_named_alone(account: Object | str) -> None:
    found = read(spec(edge={"serviceAccount": account}))
    assert errors_of(found) == []
    assert service(found, "shop-edge")["serviceAccountName"] == "models"
    assert "ServiceAccount/models" not in by_name(found)


def test_both_sides_may_share_one() -> None:
    found = read(spec(edge={"serviceAccount": MADE}, cloud={"serviceAccount": MADE}))
    assert errors_of(found) == []
    assert len([name for name in by_name(found) if name.startswith("ServiceAccount/")]) == 1
    assert service(found, "shop-cloud")["serviceAccountName"] == "models"


@pytest.mark.parametrize(
    ("edge", "cloud", "field", "message"),
    [
        ({"name": "a", "secrets": ["b"]}, None, "spec.edgeWorker", "need create: true"),
        ({"create": True}, None, "spec.edgeWorker", "is required"),
        ({"name": "A b"}, None, "spec.edgeWorker", "match pattern"),
        ({"name": "a" * 254}, None, "spec.edgeWorker", "at most 253"),
        (MADE, {"name": "models", "create": True}, "spec.cloudWorker", "with other values"),
        (None, MADE, "spec.cloudWorker", "the model is elsewhere"),
    ],
)
def test_what_can_not_be_an_account_is_one_error(
    edge: Object | None, cloud: Object | None, field: str, message: str
) -> None:
    large = {} if edge else API
    document = spec(
        edge={"serviceAccount": edge} if edge else None,
        cloud={**large, "serviceAccount": cloud} if cloud else None,
    )
    found = read(document)
    (fault,) = told(found, "error")
    assert fault.startswith(f"{field}.serviceAccount") and message in fault
    assert found.documents == []
