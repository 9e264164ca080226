"""What the API server holds, as plain dicts in memory, and what it answers of them."""

import copy
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from tests.inferencegraph.cluster.api_fields import at, is_of, leaves, remove_at, set_at, unknown
from tests.inferencegraph.cluster.api_kinds import CORE, KSERVE
from tests.inferencegraph.cluster.api_refusals import (
    Key,
    Reason,
    Refusal,
    invalid,
    no_resource,
    not_found,
)

APPLY: Final = "application/apply-patch+yaml"


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    query: Mapping[str, str]
    content_type: str
    accept: str
    body: Any

    @property
    def is_dry_run(self) -> bool:
        return self.query.get("dryRun") == "All"


class Store:
    """`unknown_fields`: paths, by kind, that its CRDs do not have. `metrics`: the text of each
    pod's /metrics. `refuse`: says why an object is invalid, or None."""

    def __init__(self) -> None:
        self.kinds = {gv: dict(each) for gv, each in (CORE | KSERVE).items()}
        self.unknown_fields: dict[str, tuple[str, ...]] = {}
        self.metrics: dict[str, str] = {}
        self.refuse: Callable[[dict[str, Any]], Reason | None] = lambda content: None
        self.chunk = 0
        self.finalized: set[str] = set()  # kinds whose objects stay until they are released
        self._objects: dict[Key, dict[str, Any]] = {}
        self._owned: dict[Key, dict[str, set[tuple[str, ...]]]] = {}
        self._schemas: dict[str, dict[str, Any]] = {}  # by kind, of CRDs that were applied
        self._version = 100
        self.oldest = 0
        self._history: list[tuple[int, Key, str, dict[str, Any]]] = []
        self._lock = threading.RLock()
        self.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}})

    def _wake(self) -> None:
        """Called after each change."""

    def put(self, content: dict[str, Any], manager: str = "somebody") -> dict[str, Any]:
        """As another client would, fields and all, without any check."""
        with self._lock:
            key = self._key(content)
            new = key not in self._objects
            self._owned.setdefault(key, {}).setdefault(manager, set()).update(leaves(content))
            return self._store(key, copy.deepcopy(content), "ADDED" if new else "MODIFIED")

    def update(self, kind: str, name: str, change: Callable[[dict[str, Any]], None]) -> None:
        with self._lock:
            key = next(k for k, o in self._objects.items() if (o["kind"], k[3]) == (kind, name))
            content = copy.deepcopy(self._objects[key])
            change(content)
            self._store(key, content, "MODIFIED")

    def remove(self, kind: str, name: str) -> None:
        with self._lock:
            for key in [k for k, o in self._objects.items() if (o["kind"], k[3]) == (kind, name)]:
                self._drop(key)

    def objects(self, kind: str) -> dict[str, dict[str, Any]]:
        with self._lock:
            found = {k[3]: copy.deepcopy(o) for k, o in self._objects.items() if o["kind"] == kind}
        return dict(sorted(found.items()))

    def managers(self, kind: str, name: str) -> set[str]:
        with self._lock:
            return {
                manager
                for key, owned in self._owned.items()
                if key[3] == name and self._objects.get(key, {}).get("kind") == kind
                for manager in owned
            }

    def forget_history(self) -> None:
        """As etcd's compaction: who watches from before gets 410."""
        with self._lock:
            self._version += 1
            self.oldest = self._version
            self._history.clear()
        self._wake()

    def news_since(
        self, seen: int, place: tuple[str, str, str], request: Request
    ) -> tuple[list[tuple[int, str, dict[str, Any]]], bool]:
        """Versions, kinds of change and objects for a watch; and whether what it has seen is too
        old."""
        with self._lock:
            found = [
                (version, kind, content)
                for version, key, kind, content in self._history
                if version > seen and key[:3] == place and selected(content, request)
            ]
            return found, seen < self.oldest

    # -- what is asked -------------------------------------------------------------------------

    def answer(self, request: Request) -> dict[str, Any] | str:
        """Raises Refusal."""
        with self._lock:
            return self._answer(request)

    def _answer(self, request: Request) -> dict[str, Any] | str:
        parts = request.path.strip("/").split("/")
        if parts[0] not in ("api", "apis"):
            raise no_resource()
        version = "/".join(parts[1:2] if parts[0] == "api" else parts[1:3])
        rest = parts[2:] if parts[0] == "api" else parts[3:]
        if version not in self.kinds:
            return self._group(version)
        if not rest:
            return self._resources(version)
        namespace = ""
        if rest[0] == "namespaces" and len(rest) > 2:
            namespace, rest = rest[1], rest[2:]
        plural, name, sub = (*rest, "", "")[:3]
        if sub == "proxy":
            return self._proxied(name)
        if plural not in (each for each, _ in self.kinds[version].values()):
            raise no_resource()
        key = (version, plural, namespace, name)
        if request.method in ("PATCH", "POST", "PUT") and namespace:
            self._require_namespace(namespace)
        match request.method:
            case "GET":
                return self._get(key) if name else self._list(key, request)
            case "PATCH":
                return self._apply(key, request, sub)
            case "POST" | "PUT":
                return self._replace(key, request)
            case "DELETE":
                return self._delete(key, request)
        raise Refusal(405, "MethodNotAllowed", f"{request.method} is not allowed")

    def _group(self, group: str) -> dict[str, Any]:
        versions = [gv.split("/")[1] for gv in self.kinds if gv.startswith(f"{group}/")]
        if not versions:
            raise no_resource()
        return {
            "kind": "APIGroup",
            "apiVersion": "v1",
            "name": group,
            "versions": [{"groupVersion": f"{group}/{v}", "version": v} for v in versions],
        }

    def _resources(self, version: str) -> dict[str, Any]:
        found = []
        for kind, (plural, namespaced) in self.kinds[version].items():
            about = {"kind": kind, "namespaced": namespaced, "singularName": kind.lower()}
            found.append({**about, "name": plural, "verbs": ["get", "list", "patch", "watch"]})
            found.append({**about, "name": f"{plural}/status", "verbs": ["get", "patch"]})
        return {"kind": "APIResourceList", "groupVersion": version, "resources": found}

    def _proxied(self, pod_and_port: str) -> str:
        pod, _, port = pod_and_port.partition(":")
        text = self.metrics.get(pod)
        if text is None:
            message = f"error trying to reach service: dial tcp :{port}: connect: refused"
            raise Refusal(503, "ServiceUnavailable", message)
        return text

    def _get(self, key: Key) -> dict[str, Any]:
        if key not in self._objects:
            raise not_found(key)
        return self._objects[key]

    def _list(self, key: Key, request: Request) -> dict[str, Any]:
        found = [each for each in self._matching(key, request)]
        start = int(request.query.get("continue") or 0)
        size = self.chunk or len(found) or 1
        more = str(start + size) if start + size < len(found) else ""
        # Items of a list have no apiVersion and kind.
        items = [
            {name: value for name, value in each.items() if name not in ("apiVersion", "kind")}
            for each in found[start : start + size]
        ]
        metadata = {"resourceVersion": str(self._version), "continue": more}
        return {"kind": "List", "apiVersion": key[0], "metadata": metadata, "items": items}

    def _matching(self, key: Key, request: Request) -> Iterator[dict[str, Any]]:
        for each, content in sorted(self._objects.items()):
            if each[:2] == key[:2] and key[2] in ("", each[2]) and selected(content, request):
                yield content

    def _apply(self, key: Key, request: Request, sub: str) -> dict[str, Any]:
        manager = request.query.get("fieldManager")
        if request.content_type != APPLY or not manager:
            raise Refusal(415, "UnsupportedMediaType", "only server-side apply is spoken here")
        body = request.body
        live = self._objects.get(key)
        if live is None and sub:
            raise not_found(key)
        kind = self._kind(key)
        if (body.get("kind"), body.get("apiVersion")) != (kind, key[0]):
            raise Refusal(400, "BadRequest", "kind or apiVersion are not those of the path")
        if request.query.get("fieldValidation") == "Strict":
            self._refuse_unknown(kind, body)
        if reason := self.refuse(body):
            raise invalid(kind, key[3], reason)
        mine = {path for path in leaves(body) if is_of(path, sub)}
        owned = self._owned.get(key, {})
        causes = self._conflicts(key, body, mine, manager)
        if causes and request.query.get("force") != "true":
            text = f"Apply failed with {len(causes)} conflicts"
            raise Refusal(409, "Conflict", text, causes=causes)
        made: dict[str, Any] = copy.deepcopy(live) if live else {"metadata": {}}
        others = set().union(*(paths for other, paths in owned.items() if other != manager))
        for path in owned.get(manager, set()) - mine - others:
            if is_of(path, sub):
                remove_at(made, path)
        for path in mine:
            set_at(made, path, at(body, path))
        made |= {"apiVersion": key[0], "kind": kind}
        made["metadata"] |= {"name": key[3]} | ({"namespace": key[2]} if key[2] else {})
        if request.is_dry_run:
            return made
        for other, paths in owned.items():
            if other != manager and causes:
                paths -= mine
        kept = {path for path in owned.get(manager, set()) if not is_of(path, sub)}
        self._owned.setdefault(key, {})[manager] = mine | kept
        if live is not None and made == live:
            return live
        return self._store(key, made, "ADDED" if live is None else "MODIFIED")

    def _conflicts(
        self, key: Key, body: dict[str, Any], mine: set[tuple[str, ...]], manager: str
    ) -> list[dict[str, str]]:
        """Fields that another manager owns, with another value."""
        live = self._objects.get(key)
        return [
            {
                "reason": "FieldManagerConflict",
                "message": f'conflict with "{other}" using {key[0]}',
                "field": f".{'.'.join(path)}",
            }
            for other, paths in self._owned.get(key, {}).items()
            if other != manager
            for path in sorted(mine & paths)
            if at(live, path) != at(body, path)
        ]

    def _replace(self, key: Key, request: Request) -> dict[str, Any]:
        """Only as dry runs: `hem` makes nothing in this way."""
        assert request.is_dry_run
        name = request.body["metadata"]["name"]
        if request.method == "PUT" and key not in self._objects:
            raise not_found(key)
        if reason := self.refuse(request.body):
            raise invalid(self._kind(key), name, reason)
        return dict(request.body)

    def _delete(self, key: Key, request: Request) -> dict[str, Any]:
        content = self._get(key)
        wanted = ((request.body or {}).get("preconditions") or {}).get("uid")
        if wanted and wanted != content["metadata"]["uid"]:
            raise Refusal(409, "Conflict", "the UID in the precondition is not the object's")
        if content["kind"] in self.finalized:
            made = copy.deepcopy(content)
            made["metadata"] |= {"deletionTimestamp": _now(), "finalizers": ["a/finalizer"]}
            return self._store(key, made, "MODIFIED")
        self._drop(key)
        return {"kind": "Status", "apiVersion": "v1", "status": "Success"}

    # -- storing -------------------------------------------------------------------------------

    def _store(self, key: Key, content: dict[str, Any], kind: str) -> dict[str, Any]:
        self._version += 1
        metadata = content["metadata"]
        metadata.setdefault("uid", str(uuid.uuid4()))
        metadata.setdefault("creationTimestamp", _now())
        before = self._objects.get(key)
        changed = before is None or before.get("spec") != content.get("spec")
        metadata["generation"] = metadata.get("generation", 0) + (1 if changed else 0)
        metadata["resourceVersion"] = str(self._version)
        metadata["managedFields"] = [
            {"manager": name, "operation": "Apply", "apiVersion": key[0], "fieldsType": "FieldsV1"}
            for name in sorted(self._owned.get(key, {}))
        ]
        self._objects[key] = content
        if content["kind"] == "CustomResourceDefinition":
            self._define(content["spec"])
        self._history.append((self._version, key, kind, copy.deepcopy(content)))
        self._wake()
        return content

    def _define(self, spec: dict[str, Any]) -> None:
        for each in spec["versions"]:
            self._schemas[spec["names"]["kind"]] = each["schema"]["openAPIV3Schema"]
            kinds = self.kinds.setdefault(f"{spec['group']}/{each['name']}", {})
            names = spec["names"]
            kinds[names["kind"]] = (names["plural"], spec["scope"] == "Namespaced")

    def _drop(self, key: Key) -> None:
        content = copy.deepcopy(self._objects.pop(key))
        self._owned.pop(key, None)
        self._version += 1
        content["metadata"]["resourceVersion"] = str(self._version)
        self._history.append((self._version, key, "DELETED", content))
        self._wake()

    def _key(self, content: Mapping[str, Any]) -> Key:
        version = str(content["apiVersion"])
        plural, namespaced = self.kinds[version][content["kind"]]
        metadata = content["metadata"]
        namespace = metadata.setdefault("namespace", "default") if namespaced else ""
        return version, plural, namespace, metadata["name"]

    def _kind(self, key: Key) -> str:
        kinds = self.kinds[key[0]].items()
        return next(kind for kind, (plural, _) in kinds if plural == key[1])

    def _require_namespace(self, name: str) -> None:
        if ("v1", "namespaces", "", name) not in self._objects:
            raise not_found(("v1", "namespaces", "", name))

    def _refuse_unknown(self, kind: str, body: dict[str, Any]) -> None:
        for path in unknown(self._schemas.get(kind, {}), body, ""):
            text = f'{kind} in version "v1" cannot be handled: strict decoding error: '
            raise Refusal(400, "BadRequest", f'{text}unknown field "{path}"')
        for path in self.unknown_fields.get(kind, ()):
            if at(body, tuple(path.split("."))) is not None:
                text = f'{kind} in version "v1" cannot be handled: strict decoding error: '
                raise Refusal(400, "BadRequest", f'{text}unknown field "{path}"')


def selected(content: Mapping[str, Any], request: Request) -> bool:
    labels = content["metadata"].get("labels") or {}
    for term in filter(None, request.query.get("labelSelector", "").split(",")):
        name, equals, value = term.partition("=")
        if name not in labels or (equals and labels[name] != value):
            return False
    for term in filter(None, request.query.get("fieldSelector", "").split(",")):
        name, _, value = term.partition("=")
        if str(at(content, tuple(name.split(".")))) != value:
            return False
    return True


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
