"""What a refused or failed call becomes: one message with the place and the way out.

HEMError
└── ClusterError     the cluster can't be reached, or refuses
    ├── NotFound     the object isn't there (404)
    ├── NotServed    the cluster doesn't know the kind, or not in this version
    ├── Conflict     another field manager has the field (409)
    └── Gone         what was watched has expired (410)
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import urllib3.exceptions as transport
from kubernetes.client.exceptions import ApiException

from predictors.errors import HEMError, first_line

CHANGED: Final = 409  # the object is another one than it was a moment ago, or there already
# Answers after which the next object may still be asked; others would come again.
ABOUT_THE_OBJECT: Final = (400, 403, 404, CHANGED, 413, 422, 500)


@dataclass(frozen=True, slots=True)
class Cause:
    """What is wrong at one field of an object."""

    field: str
    message: str


class ClusterError(HEMError):
    """`code`: the HTTP status that the API server answered; None where it did not. `causes`: the
    fields that it names. `common`: what other objects would be refused for as well; None where it
    is this object's own fault."""

    def __init__(
        self,
        message: str,
        code: int | None = None,
        causes: Sequence[Cause] = (),
        common: str | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.causes = tuple(causes)
        self.common = common

    @property
    def is_permission(self) -> bool:
        """Whether it is the account that may not, and not the object that is refused."""
        return self.code == 403 and self.common is not None


class NotFound(ClusterError):
    """The object isn't there."""


class NotServed(ClusterError):
    """The cluster doesn't know the kind, or not in this version."""


class Conflict(ClusterError):
    """Another field manager has set the field."""


class Gone(ClusterError):
    """What was watched has expired: list it again."""


@dataclass(frozen=True, slots=True)
class Call:
    """What was asked, for messages. `resource`: plural and group, as in roles."""

    verb: str
    resource: str
    namespace: str | None = None
    name: str | None = None

    def __str__(self) -> str:
        name = f" {self.name!r}" if self.name else ""
        place = f" in namespace {self.namespace!r}" if self.namespace else ""
        return f"{self.verb} {self.resource}{name}{place}"


_ROLE: Final = re.compile(r"User \"(?P<user>[^\"]*)\" cannot (?P<verb>\S+) resource")
_UNKNOWN_FIELD: Final = re.compile(
    r"unknown field \"?(?P<one>[\w.\[\]-]+)|(?P<two>\.[\w.\[\]\"=-]+): field not declared in schema"
)
_WEBHOOK: Final = "failed calling webhook"
_CERTIFICATE: Final = "certificate-authority of the kubeconfig must be the cluster's own"


def refused(error: ApiException, call: Call, server: str) -> ClusterError:
    """Of an answer other than 2xx."""
    status = status_of(error)
    message = " ".join(str(status.get("message") or error.reason or "no reason given").split())
    code = int(error.status or 0)
    if code == 401:
        text = (
            f"{server} refuses the kubeconfig's credentials (401: {message}); log in again, or "
            "choose another --context"
        )
        return ClusterError(text, code)
    if code == 403:
        return _forbidden(message, call)
    if code == 404:
        return _not_found(status, message, call)
    if code == 409:
        return _conflict(status, message, call)
    if code == 410:
        return Gone(f"{call}: {message}", code)
    if unknown := _UNKNOWN_FIELD.search(message):
        field = (unknown["one"] or unknown["two"]).strip(".")
        text = (
            f"{call}: the cluster doesn't know the field {field} ({message}); its CRDs are older "
            "than the manifest, or the field is misspelt: update KServe, or leave the field out"
        )
        return ClusterError(text, code, [Cause(field, text.removeprefix(f"{call}: "))])
    if _WEBHOOK in message:
        text = f"{call}: {message}; is what answers that webhook running, as KServe's controller?"
        return ClusterError(text, code, common=message)
    if code == 429:
        text = f"{call}: {server} has too many requests (429), also after waiting; try again later"
        return ClusterError(text, code, common="429")
    return ClusterError(f"{call}: {code}: {message}", code, _causes(status))


def _causes(status: Mapping[str, Any]) -> list[Cause]:
    found = (status.get("details") or {}).get("causes") or []
    return [
        Cause(str(each["field"]), " ".join(str(each.get("message")).split()))
        for each in found
        if each.get("field")
    ]


def unreachable(error: Exception, call: Call, server: str) -> ClusterError:
    """Of a call that got no answer."""
    cause = error.reason if isinstance(error, transport.MaxRetryError) and error.reason else error
    words = first_line(cause)
    if isinstance(cause, transport.SSLError):
        return ClusterError(f"{server}: TLS fails: {words}; {_CERTIFICATE}")
    if isinstance(cause, transport.NameResolutionError):
        return ClusterError(f"{server}: its name is not known here; is that the right --context?")
    if isinstance(cause, transport.ConnectTimeoutError | transport.NewConnectionError):
        return ClusterError(
            f"{server}: nobody answers there ({words}); is the cluster up, and is that the right "
            "--context?"
        )
    if isinstance(cause, transport.TimeoutError):
        return ClusterError(f"{server}: no answer in time to {call}; try again")
    return ClusterError(f"{server}: the connection broke, several times, at {call}: {words}")


def not_an_api(call: Call, server: str) -> ClusterError:
    return ClusterError(
        f"{server}: answers {call} with something that is not Kubernetes' JSON; is the server's "
        "address in the kubeconfig right, or is a proxy in between?"
    )


def status_of(error: ApiException) -> Mapping[str, Any]:
    """The Status object in the answer; empty where there is none."""
    body = error.body.decode("utf-8", "replace") if isinstance(error.body, bytes) else error.body
    try:
        status = json.loads(body or "")
    except ValueError:
        return {"message": first_line(Exception(body or ""))[:300]} if body else {}
    return status if isinstance(status, dict) else {}


def _forbidden(message: str, call: Call) -> ClusterError:
    """By the roles, or by an admission webhook, a quota or pod security, which answer 403 too."""
    role = _ROLE.search(message)
    if role is None:
        return ClusterError(f"{call}: refused: {message}", 403)
    resource, _, sub = call.resource.partition("/")
    about = f"{resource} --subresource={sub}" if sub else resource
    place = f"-n {call.namespace}" if call.namespace else "--all-namespaces"
    text = (
        f"no permission to {call}: user {role['user']!r} may not; ask for a role with the verb "
        f"{role['verb']!r} (kubectl auth can-i {role['verb']} {about} {place})"
    )
    return ClusterError(text, 403, common=f"{role['verb']} {about} {place}")


def _not_found(status: Mapping[str, Any], message: str, call: Call) -> ClusterError:
    details = status.get("details") or {}
    if details.get("kind") == "namespaces" and not call.resource.startswith("namespaces"):
        name = details.get("name") or call.namespace
        return ClusterError(
            f"namespace {name!r} does not exist; make it (kubectl create namespace {name}), or "
            "name another with --namespace",
            404,
            common=f"namespace {name}",
        )
    return NotFound(f"{call}: {message}", 404)


def _conflict(status: Mapping[str, Any], message: str, call: Call) -> ClusterError:
    causes = (status.get("details") or {}).get("causes") or []
    taken = [cause for cause in causes if cause.get("reason") == "FieldManagerConflict"]
    if not taken:
        return ClusterError(f"{call}: {message}", 409)
    managers: dict[str, list[str]] = {}
    for cause in taken:
        match = re.search(r'conflict with "([^"]*)"', str(cause.get("message")))
        manager = match[1] if match else "another manager"
        managers.setdefault(manager, []).append(str(cause.get("field")).lstrip("."))
    told = "; ".join(f"{manager!r} has set {', '.join(on)}" for manager, on in managers.items())
    return Conflict(
        f"{call}: {told}; leave these fields out of the manifest, or take them over with "
        "--force-conflicts",
        409,
    )
