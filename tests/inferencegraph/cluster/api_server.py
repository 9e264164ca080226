"""A small Kubernetes API server on a real socket: objects as plain dicts, in memory.

It speaks what `hem` asks for, as the real one does: discovery, lists with selectors and chunks,
watches with bookmarks and 410, server-side apply with field managers and conflicts, dry runs,
strict field validation, status subresources, deletion with preconditions, and the pods' proxy.
kmock has no server-side apply, dry runs or selectors, so it would not do.
"""

import asyncio
import copy
import json
import ssl
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from aiohttp import web

GROUP: Final = "serving.kserve.io"
# Group and version -> kind -> plural, and whether it lives in a namespace.
CORE: Final[dict[str, dict[str, tuple[str, bool]]]] = {
    "v1": {
        "Namespace": ("namespaces", False),
        "Pod": ("pods", True),
        "Service": ("services", True),
        "Secret": ("secrets", True),
        "ConfigMap": ("configmaps", True),
        "ServiceAccount": ("serviceaccounts", True),
        "PersistentVolumeClaim": ("persistentvolumeclaims", True),
        "Event": ("events", True),
    },
    "apps/v1": {"Deployment": ("deployments", True)},
    "autoscaling/v2": {"HorizontalPodAutoscaler": ("horizontalpodautoscalers", True)},
    "batch/v1": {"Job": ("jobs", True), "CronJob": ("cronjobs", True)},
    "policy/v1": {"PodDisruptionBudget": ("poddisruptionbudgets", True)},
    "networking.k8s.io/v1": {
        "Ingress": ("ingresses", True),
        "NetworkPolicy": ("networkpolicies", True),
    },
    "apiextensions.k8s.io/v1": {
        "CustomResourceDefinition": ("customresourcedefinitions", False),
    },
}
KSERVE: Final[dict[str, dict[str, tuple[str, bool]]]] = {
    f"{GROUP}/v1beta1": {"InferenceService": ("inferenceservices", True)},
    f"{GROUP}/v1alpha1": {
        "InferenceGraph": ("inferencegraphs", True),
        "ServingRuntime": ("servingruntimes", True),
        "ClusterServingRuntime": ("clusterservingruntimes", False),
    },
}
APPLY: Final = "application/apply-patch+yaml"
TOKEN: Final = "a-token"
CUT: Final[tuple[int, dict[str, Any]]] = (0, {})

Key = tuple[str, str, str, str]  # group and version, plural, namespace, name
Reason = str | Mapping[str, str]  # why an object is invalid, as one text or by field


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


@dataclass(slots=True)
class Fault:
    """What happens to the next `times` requests that `of` is true for. answer: None drops the
    connection, CUT in the middle of the answer."""

    of: Callable[[Request], bool]
    answer: tuple[int, dict[str, Any]] | None
    times: int = 1
    headers: dict[str, str] = field(default_factory=dict)


class Refusal(Exception):
    def __init__(self, code: int, reason: str, message: str, **details: Any) -> None:
        super().__init__(message)
        self.code = code
        self.status = status(code, reason, message, **details)


def status(code: int, reason: str, message: str, **details: Any) -> dict[str, Any]:
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "details": details,
        "code": code,
    }


def forbidden(verb: str, resource: str, group: str, namespace: str) -> tuple[int, dict[str, Any]]:
    text = (
        f'{resource}.{group} is forbidden: User "ada" cannot {verb} resource "{resource}" in API '
        f'group "{group}" in the namespace "{namespace}"'
    )
    return 403, status(403, "Forbidden", text, kind=resource, group=group)


class ApiServer:
    """`unknown_fields`: paths, by kind, that its CRDs do not have. `metrics`: the text of each
    pod's /metrics. `refuse`: says why an object is invalid, or None."""

    def __init__(self, kinds: Mapping[str, Mapping[str, tuple[str, bool]]] | None = None) -> None:
        self.kinds = {gv: dict(each) for gv, each in (kinds or CORE | KSERVE).items()}
        self.requests: list[Request] = []
        self.faults: list[Fault] = []
        self.unknown_fields: dict[str, tuple[str, ...]] = {}
        self.metrics: dict[str, str] = {}
        self.refuse: Callable[[dict[str, Any]], Reason | None] = lambda content: None
        self.hold: Callable[[Request], bool] = lambda request: False  # never answered
        self.chunk = 0
        self.finalized: set[str] = set()  # kinds whose objects stay until they are released
        self.port = 0
        self.changed = threading.Event()  # set by each change
        self.watched = threading.Event()  # set where somebody watches
        self._objects: dict[Key, dict[str, Any]] = {}
        self._owned: dict[Key, dict[str, set[tuple[str, ...]]]] = {}
        self._schemas: dict[str, dict[str, Any]] = {}  # by kind, of CRDs that were applied
        self._version = 100
        self._oldest = 0
        self._history: list[tuple[int, Key, str, dict[str, Any]]] = []
        self._watches: set[asyncio.BaseTransport] = set()
        self._lock = threading.RLock()
        self._changed: asyncio.Condition
        self._loop = asyncio.new_event_loop()
        self._runner: web.AppRunner
        self._thread: threading.Thread
        self.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}})

    # -- the test's side -----------------------------------------------------------------------

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, context: ssl.SSLContext | None = None) -> None:
        """context: for https."""
        started = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(started, context), daemon=True)
        self._thread.start()
        assert started.wait(10)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def put(self, content: dict[str, Any], manager: str = "somebody") -> dict[str, Any]:
        """As another client would, fields and all, without any check."""
        with self._lock:
            key = self._key(content)
            new = key not in self._objects
            self._owned.setdefault(key, {}).setdefault(manager, set()).update(_leaves(content))
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
            self._oldest = self._version
            self._history.clear()
        self._wake()

    def end_watches(self, *, cut: bool) -> None:
        """All that are open: as after timeoutSeconds, or in the middle of the stream."""

        async def end() -> None:
            for transport in self._watches:
                if cut:
                    transport.abort()
            self._watches.clear()
            async with self._changed:
                self._changed.notify_all()

        asyncio.run_coroutine_threadsafe(end(), self._loop).result(10)

    def sent(self, method: str, of: str = "", *, dry_run: bool | None = None) -> list[Request]:
        return [
            each
            for each in list(self.requests)
            if each.method == method
            and of in each.path
            and dry_run in (None, each.is_dry_run)
            and "watch" not in each.query
        ]

    # -- the client's side ---------------------------------------------------------------------

    def _run(self, started: threading.Event, context: ssl.SSLContext | None) -> None:
        asyncio.set_event_loop(self._loop)

        async def begin() -> None:
            self._changed = asyncio.Condition()
            app = web.Application(client_max_size=2**26)
            app.router.add_route("*", "/{tail:.*}", self._handle)
            self._runner = web.AppRunner(app, shutdown_timeout=0.1)
            await self._runner.setup()
            await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=context).start()
            self.port = self._runner.addresses[0][1]
            started.set()

        self._loop.run_until_complete(begin())
        self._loop.run_forever()
        self._loop.run_until_complete(self._end())
        self._loop.close()

    async def _end(self) -> None:
        """Watches that are still open end first."""
        watches = asyncio.all_tasks() - {asyncio.current_task()}
        for each in watches:
            each.cancel()
        await asyncio.gather(*watches, return_exceptions=True)
        await asyncio.sleep(0)  # for transports that were aborted
        await self._runner.cleanup()

    async def _handle(self, raw: web.Request) -> web.StreamResponse:
        text = await raw.read()
        body = json.loads(text) if text else None
        accept = raw.headers.get("Accept", "")
        request = Request(raw.method, raw.path, dict(raw.query), raw.content_type, accept, body)
        self.requests.append(request)
        if raw.headers.get("Authorization") != f"Bearer {TOKEN}":
            return _json(401, status(401, "Unauthorized", "Unauthorized"))
        for fault in self.faults:
            if fault.times > 0 and fault.of(request):
                fault.times -= 1
                if fault.answer is None or fault.answer is CUT:
                    assert raw.transport is not None
                    if fault.answer is CUT:
                        half = web.StreamResponse(headers={"Content-Length": "1000"})
                        await half.prepare(raw)
                        await half.write(b'{"kind": ')
                    raw.transport.abort()
                    raise asyncio.CancelledError
                return web.json_response(
                    fault.answer[1], status=fault.answer[0], headers=fault.headers
                )
        if self.hold(request):
            await asyncio.Event().wait()
        try:
            if request.query.get("watch") == "true":
                return await self._watch(raw, request)
            with self._lock:
                answer = self._answer(request)
            if isinstance(answer, str):
                return web.Response(text=answer)
            return _json(200, answer)
        except Refusal as refusal:
            return _json(refusal.code, refusal.status)

    def _answer(self, request: Request) -> dict[str, Any] | str:
        parts = request.path.strip("/").split("/")
        if parts[0] not in ("api", "apis"):
            raise _no_resource()
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
            raise _no_resource()
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
            raise _no_resource()
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
            raise _not_found(key)
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
            if each[:2] == key[:2] and key[2] in ("", each[2]) and _selected(content, request):
                yield content

    def _apply(self, key: Key, request: Request, sub: str) -> dict[str, Any]:
        manager = request.query.get("fieldManager")
        if request.content_type != APPLY or not manager:
            raise Refusal(415, "UnsupportedMediaType", "only server-side apply is spoken here")
        body = request.body
        live = self._objects.get(key)
        if live is None and sub:
            raise _not_found(key)
        kind = self._kind(key)
        if (body.get("kind"), body.get("apiVersion")) != (kind, key[0]):
            raise Refusal(400, "BadRequest", "kind or apiVersion are not those of the path")
        if request.query.get("fieldValidation") == "Strict":
            self._refuse_unknown(kind, body)
        if reason := self.refuse(body):
            raise _invalid(kind, key[3], reason)
        mine = {path for path in _leaves(body) if _is_of(path, sub)}
        owned = self._owned.get(key, {})
        causes = []
        for other, paths in owned.items():
            for path in sorted(mine & paths) if other != manager else ():
                if _at(live, path) != _at(body, path):
                    causes.append(
                        {
                            "reason": "FieldManagerConflict",
                            "message": f'conflict with "{other}" using {key[0]}',
                            "field": f".{'.'.join(path)}",
                        }
                    )
        if causes and request.query.get("force") != "true":
            text = f"Apply failed with {len(causes)} conflicts"
            raise Refusal(409, "Conflict", text, causes=causes)
        made: dict[str, Any] = copy.deepcopy(live) if live else {"metadata": {}}
        others = set().union(*(paths for other, paths in owned.items() if other != manager))
        for path in owned.get(manager, set()) - mine - others:
            if _is_of(path, sub):
                _remove(made, path)
        for path in mine:
            _set(made, path, _at(body, path))
        made |= {"apiVersion": key[0], "kind": kind}
        made["metadata"] |= {"name": key[3]} | ({"namespace": key[2]} if key[2] else {})
        if request.is_dry_run:
            return made
        for other, paths in owned.items():
            if other != manager and causes:
                paths -= mine
        kept = {path for path in owned.get(manager, set()) if not _is_of(path, sub)}
        self._owned.setdefault(key, {})[manager] = mine | kept
        if live is not None and made == live:
            return live
        return self._store(key, made, "ADDED" if live is None else "MODIFIED")

    def _replace(self, key: Key, request: Request) -> dict[str, Any]:
        """Only as dry runs: `hem` makes nothing in this way."""
        assert request.is_dry_run
        name = request.body["metadata"]["name"]
        if request.method == "PUT" and key not in self._objects:
            raise _not_found(key)
        if reason := self.refuse(request.body):
            raise _invalid(self._kind(key), name, reason)
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

    async def _watch(self, raw: web.Request, request: Request) -> web.StreamResponse:
        parts = request.path.strip("/").split("/")
        version = "/".join(parts[1:2] if parts[0] == "api" else parts[1:3])
        namespace, plural = parts[-2], parts[-1]
        seen = int(request.query.get("resourceVersion") or 0)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(raw)
        transport = raw.transport
        assert transport is not None
        self._watches.add(transport)
        self.watched.set()

        async def send(kind: str, content: dict[str, Any]) -> None:
            line = json.dumps({"type": kind, "object": content}) + "\n"
            await response.write(line.encode())

        if request.query.get("allowWatchBookmarks") == "true":
            await send("BOOKMARK", {"metadata": {"resourceVersion": str(seen)}})
        while True:
            with self._lock:
                gone = seen < self._oldest
                news = [
                    (at, kind, content)
                    for at, key, kind, content in self._history
                    if at > seen
                    and key[:3] == (version, plural, namespace)
                    and _selected(content, request)
                ]
            if gone:
                text = f"too old resource version: {seen} ({self._oldest})"
                await send("ERROR", status(410, "Expired", text))
                break
            for at, kind, content in news:
                seen = at
                await send(kind, content)
            async with self._changed:
                await self._changed.wait()
            if transport not in self._watches:
                break
        await response.write_eof()
        return response

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

    def _wake(self) -> None:
        self.changed.set()

        async def tell() -> None:
            async with self._changed:
                self._changed.notify_all()

        if self._loop.is_running():
            asyncio.run_coroutine_threadsafe(tell(), self._loop)

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
            raise _not_found(("v1", "namespaces", "", name))

    def _refuse_unknown(self, kind: str, body: dict[str, Any]) -> None:
        for path in _unknown(self._schemas.get(kind, {}), body, ""):
            text = f'{kind} in version "v1" cannot be handled: strict decoding error: '
            raise Refusal(400, "BadRequest", f'{text}unknown field "{path}"')
        for path in self.unknown_fields.get(kind, ()):
            if _at(body, tuple(path.split("."))) is not None:
                text = f'{kind} in version "v1" cannot be handled: strict decoding error: '
                raise Refusal(400, "BadRequest", f'{text}unknown field "{path}"')


def _unknown(schema: Mapping[str, Any], value: Any, path: str) -> Iterator[str]:
    """Fields that a CRD's schema does not have."""
    if schema.get("x-kubernetes-preserve-unknown-fields") or path == "metadata":
        return
    if isinstance(value, list):
        for index, each in enumerate(value):
            yield from _unknown(schema.get("items") or {}, each, f"{path}[{index}]")
    properties = schema.get("properties")
    if isinstance(value, dict) and properties is not None:
        for name, each in value.items():
            at = f"{path}.{name}" if path else name
            if name not in properties:
                yield at
            else:
                yield from _unknown(properties[name], each, at)


def _leaves(content: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Paths of all that is not a map; a list counts as a whole."""
    if isinstance(content, dict) and content:
        for key, value in content.items():
            if path or key not in ("apiVersion", "kind"):
                yield from _leaves(value, (*path, key))
    elif path not in (("metadata", "name"), ("metadata", "namespace")):
        yield path


def _is_of(path: tuple[str, ...], sub: str) -> bool:
    return (path[0] == "status") == (sub == "status")


def _at(content: Any, path: tuple[str, ...]) -> Any:
    for part in path:
        content = content.get(part) if isinstance(content, dict) else None
    return content


def _set(content: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    for part in path[:-1]:
        content = content.setdefault(part, {})
    content[path[-1]] = copy.deepcopy(value)


def _remove(content: dict[str, Any], path: tuple[str, ...]) -> None:
    for part in path[:-1]:
        content = content.get(part, {})
    content.pop(path[-1], None)


def _selected(content: Mapping[str, Any], request: Request) -> bool:
    labels = content["metadata"].get("labels") or {}
    for term in filter(None, request.query.get("labelSelector", "").split(",")):
        name, equals, value = term.partition("=")
        if name not in labels or (equals and labels[name] != value):
            return False
    for term in filter(None, request.query.get("fieldSelector", "").split(",")):
        name, _, value = term.partition("=")
        if str(_at(content, tuple(name.split(".")))) != value:
            return False
    return True


def _invalid(kind: str, name: str, reason: Reason) -> Refusal:
    pairs = [] if isinstance(reason, str) else list(reason.items())
    causes = [{"reason": "FieldValueInvalid", "field": f, "message": m} for f, m in pairs]
    text = reason if isinstance(reason, str) else ", ".join(f"{f}: {m}" for f, m in pairs)
    return Refusal(422, "Invalid", f'{kind} "{name}" is invalid: {text}', causes=causes)


def _no_resource() -> Refusal:
    return Refusal(404, "NotFound", "the server could not find the requested resource")


def _not_found(key: Key) -> Refusal:
    text = f'{key[1]} "{key[3]}" not found'
    return Refusal(404, "NotFound", text, name=key[3], kind=key[1])


def _json(code: int, content: Mapping[str, Any]) -> web.Response:
    return web.json_response(content, status=code)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
