"""What is found of a part, and why a pod of it does not run."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from inferencegraph.check.containers import mapping, sequence

Condition = Literal["Pending", "Running", "Failed"]

# A container that waits for one of these does not start by itself; the kubelet goes on trying.
STUCK: Final = (
    "CrashLoopBackOff",
    "CreateContainerConfigError",
    "CreateContainerError",
    "ErrImageNeverPull",
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "RunContainerError",
)


@dataclass(frozen=True, slots=True)
class Finding:
    """A condition with its reason, one word, and a message, which may be empty."""

    condition: Condition
    reason: str
    message: str = ""


def pod_failure(pod: Mapping[str, Any]) -> Finding | None:
    """Why a pod does not run, where it is stuck; None where it runs or may still start, or goes."""
    if mapping(pod.get("metadata")).get("deletionTimestamp"):
        return None
    status = mapping(pod.get("status"))
    if status.get("phase") == "Failed":
        return Finding("Failed", str(status.get("reason") or "PodFailed"), of_pod(pod, status))
    for field in ("initContainerStatuses", "containerStatuses"):
        for container in map(mapping, sequence(status.get(field))):
            state = mapping(container.get("state"))
            waiting, ended = mapping(state.get("waiting")), mapping(state.get("terminated"))
            before = mapping(mapping(container.get("lastState")).get("terminated"))
            if waiting.get("reason") in STUCK:
                reason = str(waiting["reason"])
                if reason == "CrashLoopBackOff" and before.get("reason") == "OOMKilled":
                    reason = "OOMKilled"
                return Finding("Failed", reason, _of_container(pod, container, waiting, before))
            if ended and ended.get("exitCode"):
                reason = str(ended.get("reason") or "Error")
                return Finding("Failed", reason, _of_container(pod, container, ended, ended))
    return None


def is_ready(pod: Mapping[str, Any]) -> bool:
    return mapping(conditions_of(pod).get("Ready")).get("status") == "True"


def conditions_of(content: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    conditions = sequence(mapping(content.get("status")).get("conditions"))
    return {str(mapping(each).get("type")): mapping(each) for each in conditions}


def of_pod(pod: Mapping[str, Any], said: Mapping[str, Any]) -> str:
    return f"pod {name_in(pod)}: {' '.join(str(said.get('message') or 'no message').split())}"


def _of_container(
    pod: Mapping[str, Any],
    container: Mapping[str, Any],
    said: Mapping[str, Any],
    ended: Mapping[str, Any],
) -> str:
    message = str(said.get("message") or "")
    if ended.get("exitCode") is not None:
        message = f"ended with {ended['exitCode']}; {message}"
    restarts = container.get("restartCount") or 0
    again = f", {restarts} restarts" if restarts else ""
    words = " ".join(message.split()).rstrip("; ")
    return f"pod {name_in(pod)}, container {container.get('name')}{again}: {words}".rstrip(": ")


def name_in(content: Mapping[str, Any]) -> str:
    return str(mapping(content.get("metadata")).get("name"))
