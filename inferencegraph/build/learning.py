"""A router that learns from use: where its feedback is, the volume with its versions, and the jobs
that put a first version there, retrain it, and check its promise.

Versions are written by the jobs alone; HEM's pods have the volume read-only. All sites of a spec
have one volume and one set of jobs.
"""

import copy
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from inferencegraph.build.mining import Mount, SecretValue
from inferencegraph.build.pods import (
    HOST_LABEL,
    PULL_SECRET,
    SECURITY_CONTEXT,
    Images,
    Resources,
    labels,
    temporary,
    temporary_mount,
)
from transformers_hem.versions.locks import LockedError

FIRST, RETRAIN, CHECK, VERSIONS = "first-version", "retrain", "check", "versions"
VERSIONS_MOUNT: Final = "/mnt/versions"
STORE_MOUNT: Final = "/mnt/feedback"
STORE_FILE: Final = f"{STORE_MOUNT}/feedback.db"
STORE: Final = "HEM_FEEDBACK_STORE"
# Measured: LinearRouter on 16,000 rows took 467 MiB; an encoder's features of many rows take more.
RETRAIN_RESOURCES: Final = Resources(cpu="2", memory="4Gi")
CHECK_RESOURCES: Final = Resources(cpu="500m", memory="1Gi")
_FIRST_RESOURCES: Final = Resources(cpu="1", memory="1Gi")
_USER: Final = 1000  # of our images, whom the volume's files belong to
# Of a pod: a volume of a claim is made its user's, who is not root.
WRITES_VOLUMES: Final = {"fsGroup": _USER, "fsGroupChangePolicy": "OnRootMismatch"}
CLAIM: Final = "persistentVolumeClaim"
_FIRST_SECONDS: Final = 1800  # after which it is given up, an image that can't be fetched included
_SHOWN: Final = 8  # digits of the hash in a Job's name
_FORGOTTEN_SECONDS: Final = 600  # after which a Job that has ended is deleted, and may be made anew


@dataclass(frozen=True, slots=True)
class FeedbackStore:
    """`secret`: PostgreSQL's URL; otherwise `folder` is the source of the volume with SQLite's
    file, as a pod has it."""

    secret: SecretValue | None = None
    folder: Mapping[str, Any] | None = None

    @property
    def mounts(self) -> tuple[Mount, ...]:
        return () if self.folder is None else (Mount(STORE_MOUNT, self.folder),)

    def variable(self) -> dict[str, Any]:
        if self.secret is not None:
            return self.secret.variable(STORE)
        return {"name": STORE, "value": STORE_FILE}


@dataclass(frozen=True, slots=True)
class Retraining:
    """`first`: the router that is the first version. `claim`: the volume of the versions.
    `options`: of `hem retrain`, `keep` of both jobs that write versions. check None: nobody
    checks. `beside`: the Deployment on whose node the jobs run, as they share a file or a volume
    with it, with its `tolerations`; None: any node."""

    first: str
    claim: str
    store: FeedbackStore
    schedule: str
    check: str | None
    options: tuple[str, ...]
    keep: tuple[str, ...] = ()
    mounts: tuple[Mount, ...] = ()
    resources: Resources = field(default=RETRAIN_RESOURCES)
    beside: str | None = None
    tolerations: tuple[Mapping[str, Any], ...] = ()

    @property
    def versions(self) -> Mount:
        """As HEM's pods have it."""
        return Mount(VERSIONS_MOUNT, _claimed(self.claim), read_only=True)


def jobs(retraining: Retraining, name: str, images: Images) -> Iterator[dict[str, Any]]:
    """Of the spec called `name`."""
    each = _Jobs(retraining, name, images.transformer)
    yield each.first_version()
    yield each.nightly()
    if retraining.check is not None:
        yield each.checking(retraining.check)


def job_of(content: Mapping[str, Any]) -> dict[str, Any] | None:
    """The spec of a Job, a CronJob's too; None for all other kinds."""
    if content["kind"] not in ("Job", "CronJob"):
        return None
    spec: dict[str, Any] = content["spec"]
    return spec["jobTemplate"]["spec"] if content["kind"] == "CronJob" else spec


@dataclass(frozen=True, slots=True)
class _Jobs:
    asked: Retraining
    owner: str
    image: str

    def first_version(self) -> dict[str, Any]:
        """A Job's pod can't be changed: one with another pod has another name."""
        arguments = (f"--add={self.asked.first}", "--first", *self.asked.keep)
        pod = self._pod(FIRST, arguments, _FIRST_RESOURCES, ())
        metadata = self._metadata(FIRST)
        digest = hashlib.sha256(json.dumps(pod, sort_keys=True).encode()).hexdigest()
        metadata["name"] += f"-{digest[:_SHOWN]}"
        return {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": metadata,
            "spec": {
                "backoffLimit": 3,
                "activeDeadlineSeconds": _FIRST_SECONDS,
                "ttlSecondsAfterFinished": _FORGOTTEN_SECONDS,
                "template": pod,
            },
        }

    def nightly(self) -> dict[str, Any]:
        arguments = (*self.asked.options, *self.asked.keep)
        pod = self._pod(RETRAIN, arguments, self.asked.resources, self.asked.mounts, reads=True)
        return self._cron_job(RETRAIN, self.asked.schedule, 3600, pod)

    def checking(self, schedule: str) -> dict[str, Any]:
        pod = self._pod(CHECK, ("--check",), CHECK_RESOURCES, (), reads=True)
        return self._cron_job(CHECK, schedule, 240, pod)

    def _cron_job(
        self, part: str, schedule: str, seconds: int, pod: dict[str, Any]
    ) -> dict[str, Any]:
        """`seconds`: after which a run is given up. Until then one that meets another is tried
        again, after longer and longer pauses; whatever else fails needs somebody to look."""
        codes = {"containerName": part, "operator": "In", "values": [LockedError.exit_code]}
        return {
            "apiVersion": "batch/v1",
            "kind": "CronJob",
            "metadata": self._metadata(part),
            "spec": {
                "schedule": schedule,
                "concurrencyPolicy": "Forbid",
                "startingDeadlineSeconds": 600,
                "successfulJobsHistoryLimit": 2,
                "failedJobsHistoryLimit": 2,
                "jobTemplate": {
                    "spec": {
                        "backoffLimit": 0,
                        "podFailurePolicy": {"rules": [{"action": "Ignore", "onExitCodes": codes}]},
                        "activeDeadlineSeconds": seconds,
                        "template": pod,
                    }
                },
            },
        }

    def _metadata(self, part: str) -> dict[str, Any]:
        return {"name": f"{self.owner}-{part}", "labels": labels(self.owner, part, self.owner)}

    def _pod(
        self,
        part: str,
        arguments: tuple[str, ...],
        resources: Resources,
        mounts: tuple[Mount, ...],
        *,
        reads: bool = False,
    ) -> dict[str, Any]:
        """reads: it has the store."""
        store = self.asked.store
        where = [Mount(VERSIONS_MOUNT, _claimed(self.asked.claim))]
        where += [*(store.mounts if reads else ()), *mounts]
        names = [VERSIONS, *(f"files-{number}" for number in range(len(where) - 1))]
        environment = [{"name": "HEM_ROUTER", "value": VERSIONS_MOUNT}]
        container = {
            "name": part,
            "image": self.image,
            "command": ["hem", "retrain"],
            "args": list(arguments),
            "env": [*environment, *([store.variable()] if reads else [])],
            "resources": resources.manifest(),
            "securityContext": copy.deepcopy(SECURITY_CONTEXT),
            "volumeMounts": [
                temporary_mount(),
                *(each.manifest(name) for each, name in zip(where, names, strict=True)),
            ],
        }
        volumes = [each.volume(name) for each, name in zip(where, names, strict=True)]
        return {
            "metadata": {"labels": labels(self.owner, part, self.owner)},
            "spec": {
                "restartPolicy": "Never",
                "automountServiceAccountToken": False,
                "enableServiceLinks": False,
                "imagePullSecrets": [{"name": PULL_SECRET}],
                "securityContext": dict(WRITES_VOLUMES),
                **self._place(),
                "containers": [container],
                "volumes": [temporary(), *volumes],
            },
        }

    def _place(self) -> dict[str, Any]:
        """SQLite's readers share memory with who writes the file; some volumes are of one node."""
        if self.asked.beside is None:
            return {}
        pods = {"labelSelector": {"matchLabels": {"app": f"isvc.{self.asked.beside}"}}}
        term = {**pods, "topologyKey": HOST_LABEL}
        required = {"requiredDuringSchedulingIgnoredDuringExecution": [term]}
        return {
            "affinity": {"podAffinity": required},
            "tolerations": [dict(each) for each in self.asked.tolerations],
        }


def _claimed(claim: str) -> dict[str, Any]:
    return {CLAIM: {"claimName": claim}}
