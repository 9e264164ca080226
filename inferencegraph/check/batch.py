"""What Kubernetes refuses of Jobs and CronJobs, which retrain routers.

Their fields and types are checked by schema. The rules are those of Kubernetes 1.34
(pkg/apis/batch/validation); schedules are read by robfig/cron's standard parser there.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from inferencegraph.check.containers import mapping, sequence
from inferencegraph.check.pods.parts import Part, check_choices, check_ranges, parts
from inferencegraph.check.pods.template import check_template
from inferencegraph.check.problem import Finding, Others, error, unknown

_RESTARTS: Final = ("OnFailure", "Never")
_ACTIONS: Final = ("FailJob", "FailIndex", "Ignore", "Count")
_OPERATORS: Final = ("In", "NotIn")
_MOST: Final = 2**31 - 1
_LONGEST_NAME: Final = 52  # a CronJob's Jobs get 11 characters more
_DESCRIPTORS: Final = (
    *("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"),
)
_EVERY: Final = re.compile(r"@every (\d+(\.\d+)?(h|m|s|ms))+")
_MONTHS: Final = (
    *("jan", "feb", "mar", "apr", "may", "jun"),
    *("jul", "aug", "sep", "oct", "nov", "dec"),
)
_DAYS: Final = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
# Name, lowest, highest, names by their numbers.
_FIELDS: Final[tuple[tuple[str, int, int, dict[str, int]], ...]] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of the month", 1, 31, {}),
    ("month", 1, 12, {name: number for number, name in enumerate(_MONTHS, 1)}),
    ("day of the week", 0, 6, {name: number for number, name in enumerate(_DAYS)}),
)


def check_cron_job(content: Mapping[str, Any], others: Others) -> Iterator[Finding]:
    name = mapping(content.get("metadata")).get("name")
    if isinstance(name, str) and len(name) > _LONGEST_NAME:
        yield error(
            "metadata.name", f"has {len(name)} characters; a CronJob's has at most {_LONGEST_NAME}"
        )
    spec = mapping(content.get("spec"))
    schedule = spec.get("schedule")
    if not schedule:
        yield error("spec.schedule", "is missing, but required; such as '0 3 * * *'")
    elif isinstance(schedule, str) and (fault := schedule_fault(schedule)):
        yield error("spec.schedule", fault)
    yield from check_choices(spec, "spec", {"concurrencyPolicy": ("Allow", "Forbid", "Replace")})
    counts = ("startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit")
    yield from check_ranges(spec, "spec", dict.fromkeys(counts, (0, _MOST)))
    job = mapping(mapping(spec.get("jobTemplate")).get("spec"))
    for finding in _check_job(job):
        yield replace(finding, field=f"spec.jobTemplate.spec.{finding.field}")


def check_job(content: Mapping[str, Any], others: Others) -> Iterator[Finding]:
    for finding in _check_job(mapping(content.get("spec"))):
        yield replace(finding, field=f"spec.{finding.field}")


def _check_job(spec: Part) -> Iterator[Finding]:
    counts = (
        *("backoffLimit", "completions", "parallelism"),
        *("activeDeadlineSeconds", "ttlSecondsAfterFinished"),
    )
    yield from check_ranges(spec, "", dict.fromkeys(counts, (0, _MOST)))
    pod = mapping(mapping(spec.get("template")).get("spec"))
    restarts = pod.get("restartPolicy")
    if restarts is None:
        yield error(
            "template.spec.restartPolicy", f"is missing; a Job's is {' or '.join(_RESTARTS)}"
        )
    elif restarts not in _RESTARTS:
        yield unknown("template.spec.restartPolicy", "policy of a Job's pod", restarts, _RESTARTS)
    if spec.get("podFailurePolicy") is not None:
        yield from _check_failures(mapping(spec["podFailurePolicy"]), pod)
    # What a Deployment's pod may not have, or has to have.
    others = {k: v for k, v in pod.items() if k not in ("restartPolicy", "activeDeadlineSeconds")}
    for finding in check_template(others):
        yield replace(finding, field=f"template.spec.{finding.field}")


def _check_failures(policy: Part, pod: Part) -> Iterator[Finding]:
    """What is done about a pod's failure, by its container's exit code."""
    if pod.get("restartPolicy") == "OnFailure":
        yield error("template.spec.restartPolicy", "has to be Never with podFailurePolicy")
    lists = (pod.get("containers"), pod.get("initContainers"))
    named = [str(part.get("name")) for each in lists for part, _ in parts(each, "")]
    for rule, at in parts(policy.get("rules"), "podFailurePolicy.rules"):
        yield from check_choices(rule, at, {"action": _ACTIONS})
        codes, where = mapping(rule.get("onExitCodes")), f"{at}.onExitCodes"
        yield from check_choices(codes, where, {"operator": _OPERATORS})
        container = codes.get("containerName")
        if container is not None and container not in named:
            yield unknown(f"{where}.containerName", "container", container, named)
        if codes.get("operator") == "In" and 0 in sequence(codes.get("values")):
            yield error(f"{where}.values", "has 0, with which nothing has failed")


def schedule_fault(schedule: str) -> str:
    """Empty where Kubernetes takes it."""
    if "TZ=" in schedule:
        return f"is {schedule!r}; a time zone stands in spec.timeZone"
    if schedule.startswith("@"):
        if schedule in _DESCRIPTORS or _EVERY.fullmatch(schedule):
            return ""
        return f"is {schedule!r}; known: {', '.join(_DESCRIPTORS)}, @every 5m"
    words = schedule.split()
    if len(words) != len(_FIELDS):
        names = ", ".join(name for name, *_ in _FIELDS)
        return f"{schedule!r} has {len(words)} fields; it needs {len(_FIELDS)}: {names}"
    for word, (name, low, high, numbers) in zip(words, _FIELDS, strict=True):
        if not all(_is_range(part, low, high, numbers) for part in word.split(",")):
            return f"{word!r} can't be the {name}: {low} to {high}, as 3, 1-5, 1,15 or */10"
    return ""


def _is_range(part: str, low: int, high: int, names: Mapping[str, int]) -> bool:
    whole, slash, step = part.partition("/")
    if slash and not (step.isascii() and step.isdigit() and int(step) > 0):
        return False
    if whole in ("*", "?"):
        return True
    first, dash, last = whole.partition("-")
    ends = [_number(text, names) for text in ((first, last) if dash else (first,))]
    known = [end for end in ends if end is not None and low <= end <= high]
    return len(known) == len(ends) and known == sorted(known)


def _number(text: str, names: Mapping[str, int]) -> int | None:
    if text.isascii() and text.isdigit():
        return int(text)
    return names.get(text.lower())
