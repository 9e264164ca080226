"""ServiceAccounts of models' pods, whose credentials KServe fetches the models with."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from inferencegraph.build.pods import labels


@dataclass(frozen=True, slots=True)
class Account:
    """`annotations`: of a cloud's IAM. `secrets`: with credentials of stores, as KServe reads
    them."""

    name: str
    annotations: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()


def service_account(account: Account, owner: str) -> dict[str, Any]:
    """Of spec `owner`. No pod of ours asks the API server, so none gets a token for it."""
    metadata: dict[str, Any] = {"name": account.name, "labels": labels(owner, "models", owner)}
    if account.annotations:
        metadata["annotations"] = dict(account.annotations)
    made: dict[str, Any] = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}
    if account.secrets:
        made["secrets"] = [{"name": name} for name in account.secrets]
    return {**made, "automountServiceAccountToken": False}
