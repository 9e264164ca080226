"""The calls of Kubernetes' API that are needed here, on plain dicts."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from kubernetes.client import ApiClient
from kubernetes.client.exceptions import ApiException
from kubernetes.watch.watch import iter_resp_lines
from urllib3.exceptions import HTTPError

from inferencegraph.cluster.failures import (
    Call,
    ClusterError,
    Gone,
    NotFound,
    NotServed,
    not_an_api,
    refused,
    unreachable,
)
from predictors.errors import known

FIELD_MANAGER: Final = "hem"
KSERVE_GROUP: Final = "serving.kserve.io"
OWN_GROUP: Final = "kserve-hem.io"
AT_ONCE: Final = 8  # requests of a command that has many to send
CHUNK: Final = 500  # objects in one answer of a list
CONNECT_SECONDS: Final = 10
ANSWER_SECONDS: Final = 60
METRICS_SECONDS: Final = 5
READ_ATTEMPTS: Final = 3
WATCH_SECONDS: Final = 240  # after which the server ends a watch, and it is asked for again
_JSON: Final = "application/json"
_APPLY: Final = "application/apply-patch+yaml"
_METADATA: Final = f"{_JSON};as=PartialObjectMetadata;g=meta.k8s.io;v=v1,{_JSON}"

Object = Mapping[str, Any]
Query = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind as the cluster serves it. `group_version`: `apps/v1`, or `v1`."""

    group_version: str
    kind: str
    plural: str
    namespaced: bool
    verbs: tuple[str, ...] = ()

    @property
    def group(self) -> str:
        return self.group_version.rpartition("/")[0]

    @property
    def name(self) -> str:
        """As in roles: `inferenceservices.serving.kserve.io`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(self, namespace: str | None, name: str | None = None, sub: str = "") -> str:
        root = f"/apis/{self.group_version}" if self.group else f"/api/{self.group_version}"
        place = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        rest = f"/{name}" if name else ""
        return f"{root}{place}/{self.plural}{rest}{f'/{sub}' if sub else ''}"


class Cluster:
    """One API server. Safe to use from several threads.

    Every method raises ClusterError; NotFound, Conflict, Gone and NotServed where it says so.
    """

    def __init__(self, client: ApiClient, server: str, namespace: str, context: str) -> None:
        self._client = client
        self.server = server
        self.namespace = namespace
        self.context = context
        self._known: dict[str, dict[str, Resource] | None] = {}

    def resource(self, api_version: str, kind: str) -> Resource:
        """Raises NotServed where the cluster doesn't have the kind in this version."""
        if api_version not in self._known:
            self._known[api_version] = self._discovered(api_version)
        kinds = self._known[api_version]
        if kinds is None or kind not in kinds:
            self._known.pop(api_version, None)  # a CRD may come later
            raise NotServed(self._not_served(api_version, kind, kinds), 404)
        return kinds[kind]

    def find(self, api_version: str, kind: str) -> Resource | None:
        try:
            return self.resource(api_version, kind)
        except NotServed:
            return None

    def get(self, resource: Resource, namespace: str | None, name: str) -> dict[str, Any]:
        """Raises NotFound."""
        call = Call("get", resource.name, _place(resource, namespace), name)
        return self._ask(call, "GET", resource.path(namespace, name))

    def find_object(
        self, resource: Resource, namespace: str | None, name: str
    ) -> dict[str, Any] | None:
        try:
            return self.get(resource, namespace, name)
        except NotFound:
            return None

    def exists(self, resource: Resource, namespace: str | None, name: str) -> bool:
        """Asks for its metadata alone, so that no Secret's content travels."""
        call = Call("get", resource.name, _place(resource, namespace), name)
        try:
            self._ask(call, "GET", resource.path(namespace, name), accept=_METADATA)
        except NotFound:
            return False
        return True

    def items(
        self, resource: Resource, namespace: str | None, labels: str = "", fields: str = ""
    ) -> tuple[list[dict[str, Any]], str]:
        """All objects, and the version of the list, from which it can be watched."""
        call = Call("list", resource.name, _place(resource, namespace))
        found: list[dict[str, Any]] = []
        more, begun = "", 1
        while True:
            query = _selectors(labels, fields, limit=str(CHUNK), **{"continue": more})
            try:
                answer = self._ask(call, "GET", resource.path(namespace), query)
            except Gone:  # it changed too much between two chunks
                if begun == READ_ATTEMPTS:
                    raise
                found, more, begun = [], "", begun + 1
                continue
            found += [
                {"apiVersion": resource.group_version, "kind": resource.kind, **item}
                for item in answer.get("items") or []
            ]
            metadata = answer.get("metadata") or {}
            more = metadata.get("continue") or ""
            if not more:
                return found, str(metadata.get("resourceVersion") or "")

    def apply(
        self, resource: Resource, content: Object, *, dry_run: bool, force: bool, sub: str = ""
    ) -> dict[str, Any]:
        """Server-side apply; the object as it is then. Raises Conflict."""
        metadata = content["metadata"]
        namespace, name = metadata.get("namespace"), metadata["name"]
        verb = f"{resource.name}/{sub}" if sub else resource.name
        call = Call("patch", verb, _place(resource, namespace), name)
        query = [("fieldManager", FIELD_MANAGER), ("fieldValidation", "Strict")]
        query += [("dryRun", "All")] if dry_run else []
        query += [("force", "true")] if force else []
        path = resource.path(namespace, name, sub)
        return self._ask(call, "PATCH", path, query, content, _APPLY)

    def try_make(self, resource: Resource, content: Object) -> None:
        """Asks, as a dry run, whether this object would be taken, in the place of the one that may
        be there."""
        metadata = content["metadata"]
        namespace, name = metadata["namespace"], metadata["name"]
        query = [("dryRun", "All"), ("fieldManager", FIELD_MANAGER), ("fieldValidation", "Strict")]
        live = self.find_object(resource, namespace, name)
        if live is None:
            call = Call("create", resource.name, namespace, name)
            self._ask(call, "POST", resource.path(namespace), query, content)
            return
        version = live["metadata"].get("resourceVersion")
        body = {**content, "metadata": {**metadata, "resourceVersion": version}}
        call = Call("update", resource.name, namespace, name)
        self._ask(call, "PUT", resource.path(namespace, name), query, body)

    def delete(self, resource: Resource, content: Object, propagation: str) -> None:
        """This very object, with what it has made. One that is gone already is no error.
        propagation: Foreground keeps it until its dependents are gone, Background doesn't."""
        metadata = content["metadata"]
        namespace, name = metadata.get("namespace"), metadata["name"]
        call = Call("delete", resource.name, _place(resource, namespace), name)
        options = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": propagation,
            "preconditions": {"uid": metadata["uid"]},
        }
        try:
            self._ask(call, "DELETE", resource.path(namespace, name), (), options)
        except NotFound:
            return

    def watch(
        self, resource: Resource, namespace: str | None, version: str, labels: str, fields: str
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Changes since `version`, as (ADDED, MODIFIED, DELETED or BOOKMARK; object), until the
        server ends it. Raises Gone where the version is too old."""
        call = Call("watch", resource.name, _place(resource, namespace))
        query = _selectors(
            labels,
            fields,
            watch="true",
            resourceVersion=version,
            allowWatchBookmarks="true",
            timeoutSeconds=str(WATCH_SECONDS),
        )
        silence = WATCH_SECONDS + ANSWER_SECONDS
        response = self._send(call, "GET", resource.path(namespace), query, seconds=silence)
        try:
            for line in filter(None, iter_resp_lines(response)):
                event = json.loads(line)
                kind, content = event["type"], event["object"]
                if kind == "ERROR":
                    raise _of_status(content, call)
                yield kind, content
        except (ValueError, KeyError) as error:
            raise not_an_api(call, self.server) from error
        except (HTTPError, OSError) as error:
            raise unreachable(error, call, self.server) from error
        finally:
            response.close()

    def metrics(self, namespace: str, pod: str, port: str, path: str) -> str:
        """A pod's metrics, by the API server's proxy."""
        call = Call("get", "pods/proxy", namespace, f"{pod}:{port}")
        where = f"/api/v1/namespaces/{namespace}/pods/{pod}:{port}/proxy/{path.lstrip('/')}"
        response = self._send(call, "GET", where, accept="*/*", seconds=METRICS_SECONDS)
        try:
            return bytes(response.data).decode("utf-8", "replace")
        except (HTTPError, OSError) as error:
            raise unreachable(error, call, self.server) from error

    def _discovered(self, api_version: str) -> dict[str, Resource] | None:
        """By kind; None where the cluster doesn't have this version."""
        root = "apis" if "/" in api_version else "api"
        try:
            answer = self._ask(Call("discover", api_version), "GET", f"/{root}/{api_version}")
        except NotFound:
            return None
        return {
            each["kind"]: Resource(
                api_version,
                each["kind"],
                each["name"],
                bool(each.get("namespaced")),
                tuple(each.get("verbs") or ()),
            )
            for each in answer.get("resources") or []
            if "/" not in each["name"]
        }

    def _not_served(self, api_version: str, kind: str, kinds: object) -> str:
        group, _, version = api_version.rpartition("/")
        what = f"this cluster ({self.server}) has no kind {kind} in {api_version}"
        try:
            answer = self._ask(Call("discover", group), "GET", f"/apis/{group}") if group else {}
        except NotFound:
            if group == KSERVE_GROUP:
                return f"{what}: KServe is not installed there; docs/cluster.md says how"
            hint = " (hem schema --crd | kubectl apply -f -)" if group == OWN_GROUP else ""
            return f"{what}: install its CustomResourceDefinition first{hint}"
        versions = [str(each.get("version")) for each in answer.get("versions") or []]
        if versions and version not in versions:
            return f"{what}; {group} is served in: {', '.join(versions)}. Update what serves it"
        names = list(kinds) if isinstance(kinds, dict) else []
        return f"{what}; {known(kind, names, brief=True)} An older version may lack it: update it"

    def _ask(
        self,
        call: Call,
        method: str,
        path: str,
        query: Query = (),
        body: Object | None = None,
        content_type: str = _JSON,
        accept: str = _JSON,
    ) -> dict[str, Any]:
        for attempt in range(READ_ATTEMPTS):
            response = self._send(call, method, path, query, body, content_type, accept)
            try:
                text = bytes(response.data)
                break
            except (HTTPError, OSError) as error:  # it broke off in the middle of the answer
                if attempt + 1 == READ_ATTEMPTS:
                    raise unreachable(error, call, self.server) from error
        try:
            answer = json.loads(text)
        except ValueError as error:
            raise not_an_api(call, self.server) from error
        if not isinstance(answer, dict):
            raise not_an_api(call, self.server)
        return answer

    def _send(
        self,
        call: Call,
        method: str,
        path: str,
        query: Query = (),
        body: Object | None = None,
        content_type: str = _JSON,
        accept: str = _JSON,
        seconds: float | None = None,
    ) -> Any:
        """The response of urllib3, whose body is not read yet. seconds: until something comes."""
        try:
            return self._client.call_api(
                path,
                method,
                query_params=list(query),
                header_params={"Accept": accept, "Content-Type": content_type},
                body=body,
                auth_settings=["BearerToken"],
                _preload_content=False,
                _request_timeout=(CONNECT_SECONDS, seconds or ANSWER_SECONDS),
            )
        except ApiException as error:
            raise refused(error, call, self.server) from error
        except (HTTPError, OSError) as error:
            raise unreachable(error, call, self.server) from error


def _place(resource: Resource, namespace: str | None) -> str | None:
    return namespace if resource.namespaced else None


def _selectors(labels: str, fields: str, **more: str) -> list[tuple[str, str]]:
    query = {"labelSelector": labels, "fieldSelector": fields, **more}
    return [(name, value) for name, value in query.items() if value]


def _of_status(status: Object, call: Call) -> ClusterError:
    error = ApiException(status=status.get("code"), reason=status.get("reason"))
    error.body = json.dumps(status)
    return refused(error, call, "the API server")
