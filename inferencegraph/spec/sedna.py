"""Sedna's `JointInferenceService` (sedna.io/v1alpha1) and its Models as a spec, with a report.

Its API: github.com/kubeedge/sedna, pkg/apis/sedna/v1alpha1. The workers of the answer-generation
example read MODEL_LOAD_MODE, MODEL_NAME and API_KEY; MINING_MODE is that of the SDK.
"""

import copy
from collections.abc import Mapping
from typing import Any, Final

from inferencegraph.build.mining import (
    ANSWER_STAGE,
    MINING_MODES,
    OF_A_STRATEGY,
    QUERY_STAGE,
    SELF_DESIGN,
)
from inferencegraph.check.containers import mapping, sequence
from inferencegraph.spec.models import KEY_ADVICE, LOAD_MODES, engine_of_format, read_model
from inferencegraph.spec.report import Report, Source
from inferencegraph.spec.sedna_template import EDGE, carried
from inferencegraph.spec.service import API_VERSION
from inferencegraph.spec.sources import DEFAULT_SECRET
from inferencegraph.spec.templates import placeholders
from predictors.errors import ConfigurationError, known

Object = dict[str, Any]

CLOUD: Final = "spec.cloudWorker"
MINING: Final = f"{EDGE}.hardExampleMining"
_UNKNOWN: Final = "Sedna's JointInferenceService has no such field"


def converted(
    service: Mapping[str, Any], models: Mapping[str, Mapping[str, Any]]
) -> tuple[Object, Report, set[str]]:
    """The spec, what became of each field, and the names of the Models that it took."""
    source = Source(f"JointInferenceService/{_name(service)}", service)
    taken: Report = []
    names: set[str] = set()
    spec: Object = {}
    if source.get("spec") is None:
        source.missing("spec", "is required")
    for side, field in (("edgeWorker", EDGE), ("cloudWorker", CLOUD)):
        if source.get("spec") is None:
            continue
        if source.get(field) is None:
            source.missing(field, "is required")
            continue
        worker = _Worker(source, field, models)
        spec[side] = worker.converted()
        taken += worker.model_entries
        names |= {worker.model_name} if worker.model_entries else set()
    document = {
        "apiVersion": API_VERSION,
        "kind": "LLMJointInferenceService",
        "metadata": _metadata(source),
        "spec": spec,
    }
    source.left_out("status", "is Sedna's; hem status tells what runs")
    source.rest("", _UNKNOWN)
    return document, [*source.report(), *taken], names


def _metadata(source: Source) -> Object:
    for part in ("apiVersion", "kind"):
        source.mapped(part, part)
    found: Object = {}
    for name, value in mapping(source.get("metadata")).items():
        if name in ("name", "namespace", "labels"):
            source.mapped(f"metadata.{name}", f"metadata.{name}")
            found[name] = value
        else:
            source.left_out(f"metadata.{name}", "belongs to Sedna's object")
    return found


class _Worker:
    """One worker; `template` is what is carried over of its pod template."""

    def __init__(self, source: Source, field: str, models: Mapping[str, Mapping[str, Any]]) -> None:
        self.source, self.field, self.models = source, field, models
        self.pod = f"{field}.template.spec"
        self.container = f"{self.pod}.containers[0]"
        self.model_name = str(source.get(f"{field}.model.name") or "")
        self.model_entries: Report = []
        self.variables = {
            str(mapping(entry).get("name")): index
            for index, entry in enumerate(sequence(source.get(f"{self.container}.env")))
        }

    def converted(self) -> Object:
        model = self._model()
        found: Object = {"model": model} if model else {}
        engine = engine_of_format(mapping(self.models.get(self.model_name, {}).get("spec")))
        if engine is not None:
            found["inferenceConfig"] = {"engine": engine}
        if self.field == EDGE:
            found |= self._nodes()
            found["hardExampleMining"] = self._mining()
        if autoscaling := self._autoscaling():
            found["autoscaling"] = autoscaling
        if self.source.get(f"{self.field}.template") is not None:
            template = carried(self.source, self.field, self.variables, at_api="url" in model)
            found |= {"template": template} if template else {}
        return found

    def _model(self) -> Object:
        path, target = f"{self.field}.model.name", f"{self.field}.model"
        if not self.model_name:
            self.source.missing(path, "is required")
            return {}
        mode = self._load_mode()
        content = self.models.get(self.model_name)
        if content is None:
            self.source.wrong(
                path,
                f"no Model {self.model_name!r} beside it; {known(self.model_name, self.models)}; "
                "add the object (kubectl get models.sedna.io -o yaml)",
            )
            self._set("MODEL_LOAD_MODE", target)
            return {}
        self.source.mapped(path, target)
        model = Source(f"Model/{self.model_name}", content)
        found = read_model(model, mode, target)
        self.model_entries = model.report()
        self._set("MODEL_LOAD_MODE", f"{target}.{next(iter(found), 'url')}")
        if "url" not in found:
            self._set("MODEL_NAME", None, "only an API is asked for a model by its name")
            self._set("API_KEY", None, "only an API is called with a key")
            return {"name": self.model_name, **found} if found else {}
        name = self._set("MODEL_NAME", f"{target}.name")
        if not name:
            at = f"{self.container}.env.MODEL_NAME"
            self.source.missing(at, f"is missing: which model is asked at {found['url']}")
        return {"name": name or self.model_name, **found, **self._secret(f"{target}.secret")}

    def _load_mode(self) -> str | None:
        """MODEL_LOAD_MODE, whose entry is `_model`'s unless it is unknown."""
        index = self.variables.get("MODEL_LOAD_MODE")
        if index is None:
            return None
        at = f"{self.container}.env[{index}]"
        mode = self.source.get(f"{at}.value")
        if mode in LOAD_MODES:
            return str(mode)
        self.source.wrong(at, f"unknown MODEL_LOAD_MODE {mode!r}; {known(mode, LOAD_MODES)}")
        return None

    def _secret(self, target: str) -> Object:
        """The API's key: never in a manifest, also where it stood in Sedna's."""
        index = self.variables.get("API_KEY")
        if index is None:
            return {}
        at = f"{self.container}.env[{index}]"
        key = mapping(self.source.get(f"{at}.valueFrom.secretKeyRef"))
        if key.get("name") and key.get("key"):
            self.source.mapped(at, target)
            return {"secret": {"name": key["name"], "key": key["key"]}}
        self.source.altered(at, target, KEY_ADVICE.format(what="its value"))
        return {"secret": {"name": DEFAULT_SECRET.name, "key": DEFAULT_SECRET.key}}

    def _set(self, variable: str, target: str | None, word: str = "") -> str | None:
        """Ends a variable's entry, unless it has one. Returns its value."""
        index = self.variables.get(variable)
        if index is None:
            return None
        at = f"{self.container}.env[{index}]"
        if not self.source.covers(at):
            if target is None:
                self.source.left_out(at, word)
            else:
                self.source.mapped(at, target, word)
        value = self.source.get(f"{at}.value")
        return None if value is None else str(value)

    def _nodes(self) -> Object:
        path, target = f"{self.pod}.nodeName", f"{EDGE}.nodes[0]"
        name = self.source.get(path)
        if name is None:
            return {}
        if wrong := next(placeholders(name, path), None):
            self.source.wrong(path, f"{wrong.message}, which kubectl get nodes lists")
            return {}
        self.source.mapped(path, target)
        return {"nodes": [name]}

    def _mining(self) -> Object:
        name = self.source.get(f"{MINING}.name")
        if not name:
            self.source.missing(f"{MINING}.name", "is required")
            return {}
        found: Object = {"name": name}
        if parameters := sequence(self.source.get(f"{MINING}.parameters")):
            self.source.mapped(f"{MINING}.parameters", f"{MINING}.parameters")
            found["parameters"] = copy.deepcopy(parameters)
        stage = self._stage(str(name))
        mode = self._mining_mode()
        path, target = f"{MINING}.name", f"{MINING}.name"
        if stage is None:
            return found
        if mode is None and stage == "query":
            self.source.altered(
                path,
                target,
                f"{name} needs the query alone, so it mines before the edge answers; without "
                f"MINING_MODE Sedna's workers mine after it ({ANSWER_STAGE})",
            )
            mode = QUERY_STAGE
        else:
            self.source.mapped(path, target)
        return {**found, "miningMode": mode or ANSWER_STAGE}

    def _stage(self, name: str) -> str | None:
        from transformers_hem.algorithms import ALGORITHMS

        try:
            return str(ALGORITHMS.load(name).stage)
        except ConfigurationError as error:
            mend = "; an algorithm of your own: hardExampleMining.source in a spec"
            self.source.wrong(f"{MINING}.name", f"{error}{mend}")
            return None

    def _mining_mode(self) -> str | None:
        index = self.variables.get("MINING_MODE")
        if index is None:
            return None
        at = f"{self.container}.env[{index}]"
        mode = self.source.get(f"{at}.value")
        if mode not in MINING_MODES:
            unknown = f"unknown MINING_MODE {mode!r}; {known(mode, MINING_MODES)}"
            self.source.wrong(at, OF_A_STRATEGY if mode == SELF_DESIGN else unknown)
            return None
        self.source.mapped(at, f"{MINING}.miningMode")
        return str(mode)

    def _autoscaling(self) -> Object:
        found: Object = {}
        for name in ("minReplicas", "maxReplicas"):
            path, target = f"{self.field}.hpa.{name}", f"{self.field}.autoscaling.{name}"
            value = self.source.mapped(path, target)
            found |= {} if value is None else {name: value}
        metrics = sequence(self.source.get(f"{self.field}.hpa.metrics"))
        path = f"{self.field}.hpa.metrics"
        resource = mapping(mapping(metrics[0]).get("resource")) if len(metrics) == 1 else {}
        percent = mapping(resource.get("target")).get("averageUtilization")
        if resource.get("name") in ("cpu", "memory") and isinstance(percent, int):
            self.source.mapped(path, f"{self.field}.autoscaling.target")
            found |= {"metric": resource["name"], "target": percent}
        else:
            self.source.left_out(path, "one metric is taken: the utilization of cpu or memory")
        self.source.left_out(f"{self.field}.hpa.behavior", "KServe's autoscaler has its default")
        return found


def _name(content: Mapping[str, Any]) -> str:
    return str(mapping(content.get("metadata")).get("name", "?"))
