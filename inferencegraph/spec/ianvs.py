"""Ianvs's test algorithm of the paradigm jointinference as a spec, with a report.

Its file: github.com/kubeedge/ianvs, examples/cloud-edge-collaborative-inference-for-llm,
testalgorithms/query-routing/test_queryrouting.yaml. A benchmark there runs every combination of the
`values` of its hyperparameters; a site is one, so several values are an error that has to be mended
by choosing: whichever is taken silently is the wrong one for somebody.
"""

from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from typing import Any, Final

from inferencegraph.build.mining import MINING_MODES, OF_A_STRATEGY, QUERY_STAGE, SELF_DESIGN
from inferencegraph.check.containers import mapping, sequence
from inferencegraph.spec.models import KEY_ADVICE, own_word
from inferencegraph.spec.report import Report, Source
from inferencegraph.spec.service import API_VERSION
from inferencegraph.spec.sources import (
    CLOUD_DEFAULT,
    CLOUD_DEFAULT_URL,
    DEFAULT_SECRET,
    EDGE_DEFAULT,
)
from predictors.errors import ConfigurationError, known

Object = dict[str, Any]

EDGE: Final = "spec.edgeWorker"
CLOUD: Final = "spec.cloudWorker"
MINING: Final = f"{EDGE}.hardExampleMining"
PARADIGM: Final = "jointinference"
# The example's own classes, by the files that hold them.
_OURS: Final = ("edge_model.py", "cloud_model.py", "hard_sample_mining.py", "data_processor.py")
_CLASSES: Final = ("EdgeModel", "CloudModel")
_MODE: Final = "hard_example_mining_mode"
_SAMPLING: Final = {
    "temperature": "temperature",
    "top_p": "topP",
    "max_tokens": "maxTokens",
    "repetition_penalty": "repetitionPenalty",
}
_BACKENDS: Final = {"huggingface": "huggingface", "vllm": "vllm", "api": "openai_api"}
_OF_VLLM: Final = ("tensor_parallel_size", "gpu_memory_utilization")
_OF_API: Final = ("api_provider", "api_key_env", "api_base_url")
_PENALTY: Final = (
    "Ianvs sends it as frequency_penalty, which is something else; an API gets it by the field "
    "that openaiConfig.repetitionPenaltyField names"
)
_PROVIDERS: Final = {
    "openai": CLOUD_DEFAULT_URL,
    "groq": "https://api.groq.com/openai/v1",
}
_NO_COUNTERPART: Final = {
    "use_cache": "Ianvs keeps the answers of a benchmark in a file; here a predictor has a cache: "
    "extraArgs: [--cache=memory] in the engine's block",
    "draft_model": "no engine here decodes speculatively",
    **dict.fromkeys(
        ("quantization", "quantize"), "write it into the engine's block of inferenceConfig"
    ),
}


def converted(content: Mapping[str, Any]) -> tuple[Object, Report]:
    """The spec, and what became of each field."""
    name = str(mapping(content.get("metadata")).get("name", "?"))
    source = Source(f"Algorithm/{name}", {"algorithm": content.get("algorithm")})
    return _Algorithm(source, name).converted()


class _Algorithm:
    def __init__(self, source: Source, name: str) -> None:
        self.source, self.name = source, name

    def converted(self) -> tuple[Object, Report]:
        source = self.source
        paradigm = source.get("algorithm.paradigm_type")
        if paradigm == PARADIGM:
            source.mapped("algorithm.paradigm_type", "kind")
        else:
            source.wrong("algorithm.paradigm_type", f"{paradigm!r}: only {PARADIGM!r} is a site")
        source.left_out("algorithm.shot_nums", "a site's callers write their prompts themselves")
        readers: dict[str, Callable[[str], Object]] = {
            "edgemodel": self._edge,
            "cloudmodel": self._cloud,
            "hard_example_mining": self._mining,
        }
        found: dict[str, Object] = {}
        for index, module in enumerate(sequence(source.get("algorithm.modules"))):
            at = f"algorithm.modules[{index}]"
            kind = mapping(module).get("type")
            if kind == "dataset_processor":
                source.left_out(at, "prepares a benchmark's data; a site answers requests")
            elif kind not in readers:
                wrong = f"unknown module {kind!r}; {known(kind, (*readers, 'dataset_processor'))}"
                source.wrong(at, wrong)
            elif kind in found:
                source.wrong(at, f"is a second {kind}; keep one")
            else:
                found[str(kind)] = readers[str(kind)](at)
        for kind in readers:
            if kind not in found:
                source.missing(f"algorithm.modules.{kind}", "is missing")
        spec: Object = {}
        if "edgemodel" in found:
            mining = {**found.get("hard_example_mining", {}), **self._mode()}
            spec["edgeWorker"] = {**found["edgemodel"], "hardExampleMining": mining}
        if "cloudmodel" in found:
            spec["cloudWorker"] = found["cloudmodel"]
        source.rest("", "unknown field of Ianvs's test algorithm")
        metadata = {"name": self.name}
        document = {"apiVersion": API_VERSION, "kind": "LLMJointInferenceService"}
        return {**document, "metadata": metadata, "spec": spec}, source.report()

    def _mode(self) -> Object:
        path, target = f"algorithm.{_MODE}", f"{MINING}.miningMode"
        mode = self.source.get(path)
        if mode is None:
            return {"miningMode": QUERY_STAGE}  # Ianvs's default
        if mode not in MINING_MODES:
            unknown = f"unknown mode {mode!r}; {known(mode, MINING_MODES)}"
            self.source.wrong(path, OF_A_STRATEGY if mode == SELF_DESIGN else unknown)
            return {}
        self.source.mapped(path, target)
        return {"miningMode": mode}

    def _edge(self, at: str) -> Object:
        values = _Values(self.source, at)
        self._class(at, EDGE)
        worker = self._worker(values, EDGE, EDGE_DEFAULT)
        path = values.path("backend")
        backend = values.take("backend", "huggingface")
        engine = _BACKENDS.get(str(backend))
        if engine is None:
            self.source.wrong(path, f"unknown backend {backend!r}; {known(backend, _BACKENDS)}")
        elif path:
            self.source.mapped(path, f"{EDGE}.inferenceConfig.engine")
        if engine == "openai_api":
            worker["model"] |= self._api(values, f"{EDGE}.model")
            worker["model"]["name"] = worker["model"].pop("hub", None) or worker["model"].get(
                "name"
            )
        worker["inferenceConfig"] = {"engine": engine or "huggingface"}
        for name in _OF_VLLM:
            self._of_vllm(values, name, worker, engine)
        self._rest(values)
        return worker

    def _cloud(self, at: str) -> Object:
        values = _Values(self.source, at)
        self._class(at, CLOUD)
        worker = self._worker(values, CLOUD, CLOUD_DEFAULT)
        worker["model"] |= self._api(values, f"{CLOUD}.model")
        self._rest(values)
        return worker

    def _mining(self, at: str) -> Object:
        from transformers_hem.algorithms import ALGORITHMS

        path = f"{at}.name"
        name = self.source.get(path)
        self.source.mapped(f"{at}.type", MINING)
        self._url(at, MINING)
        try:
            ALGORITHMS.load(str(name))
        except ConfigurationError as error:
            mend = "an algorithm of your own: hardExampleMining.source in a spec"
            self.source.wrong(path, f"{error}; {mend}")
        else:
            self.source.mapped(path, f"{MINING}.name")
        values = _Values(self.source, at)
        parameters: list[Object] = []
        for parameter in values.names():
            value = values.take(parameter, None)
            target = f"{MINING}.parameters[{len(parameters)}]"
            if parameter == "threshold" and name in ("BERTRouter", "BertRouter"):
                word = (
                    "Ianvs keeps a query at the edge from it on; here a score above it goes to the "
                    "cloud. Choose it anew: hem calibrate"
                )
                self.source.altered(values.path(parameter), target, word)
            else:
                self.source.mapped(values.path(parameter), target)
            parameters.append({"name": parameter, "value": value})
        return {"name": name, **({"parameters": parameters} if parameters else {})}

    def _class(self, at: str, target: str) -> None:
        """The example's own class of a model, for which the engine stands."""
        self.source.mapped(f"{at}.type", target)
        engine = f"{target}.inferenceConfig.engine"
        ours = self._url(at, engine)
        name = self.source.get(f"{at}.name")
        if ours and name in _CLASSES:
            self.source.mapped(f"{at}.name", engine)
        else:
            self.source.left_out(f"{at}.name", f"the engine serves the model, not {name!r}")

    def _url(self, at: str, target: str) -> bool:
        """Whether the class behind it is the example's own, which has its likes here."""
        url = self.source.get(f"{at}.url")
        if PurePosixPath(str(url)).name in _OURS:
            self.source.mapped(f"{at}.url", target)
            return True
        self.source.left_out(
            f"{at}.url", f"{url!r} is no class of the example, and its code is not run here"
        )
        return False

    def _worker(self, values: "_Values", field: str, default: str) -> Object:
        """Model and sampling, which both sides have."""
        path, name = values.path("model"), str(values.take("model", default))
        model = own_word(name) if field == EDGE else {"name": name}
        if path:
            self.source.mapped(path, f"{field}.model.{next(iter(model))}")
        sampling: Object = {}
        for own, ours in _SAMPLING.items():
            path, value = values.path(own), values.take(own, None)
            if value is None:
                continue
            target = f"{field}.sampling.{ours}"
            if own == "repetition_penalty" and field == CLOUD:
                self.source.altered(path, target, _PENALTY)
            else:
                self.source.mapped(path, target)
            whole = own == "max_tokens" and isinstance(value, float)
            sampling[ours] = int(value) if whole else value
        return {"model": model, **({"sampling": sampling} if sampling else {})}

    def _api(self, values: "_Values", target: str) -> Object:
        """URL and key of an API: Ianvs has the names of variables with both."""
        provider = str(values.take("api_provider", "openai")).lower()
        path = values.path("api_provider")
        if provider not in _PROVIDERS:
            self.source.wrong(path, f"unknown provider {provider!r}; {known(provider, _PROVIDERS)}")
        elif path:
            self.source.mapped(path, f"{target}.url")
        url, path = str(values.take("api_base_url", "")), values.path("api_base_url")
        if url.startswith(("http://", "https://")):
            self.source.mapped(path, f"{target}.url")
        else:
            url = _PROVIDERS.get(provider, CLOUD_DEFAULT_URL)
            if path:
                word = f"the URL stands in a variable of Ianvs's process; {url} is taken"
                self.source.altered(path, f"{target}.url", word)
        values.take("api_key_env", "")
        if path := values.path("api_key_env"):
            self.source.altered(
                path,
                f"{target}.secret",
                KEY_ADVICE.format(what="the variable's value"),
            )
        return {"url": url, "secret": {"name": DEFAULT_SECRET.name, "key": DEFAULT_SECRET.key}}

    def _of_vllm(self, values: "_Values", name: str, worker: Object, engine: str | None) -> None:
        path, value = values.path(name), values.take(name, None)
        if value is None:
            return
        if engine != "vllm":
            self.source.left_out(path, "is read by vLLM alone")
            return
        self.source.mapped(path, f"{EDGE}.inferenceConfig.vllmConfig.{name}")
        worker["inferenceConfig"].setdefault("vllmConfig", {})[name] = value
        if name == "tensor_parallel_size":
            worker["resource"] = {"limits": {"gpus": value}}

    def _rest(self, values: "_Values") -> None:
        for name in values.names():
            if not self.source.covers(values.path(name)):
                values.take(name, None)
                names = (*_SAMPLING, *_OF_VLLM, *_OF_API, "model", "backend")
                word = f"Ianvs's class reads no {name!r}; {known(name, names, brief=True)}"
                self.source.left_out(values.path(name), _NO_COUNTERPART.get(name, word))


class _Values:
    """The hyperparameters of a module, each with one value."""

    def __init__(self, source: Source, at: str) -> None:
        self.source, self.paths = source, dict[str, str]()
        if not source.get(f"{at}.hyperparameters"):
            source.left_out(f"{at}.hyperparameters", "is empty: the defaults hold")
        for index, entry in enumerate(sequence(source.get(f"{at}.hyperparameters"))):
            path = f"{at}.hyperparameters[{index}]"
            for name, inner in mapping(entry).items():
                values = mapping(inner).get("values")
                where = f"{path}.{name}"
                if name in self.paths:
                    source.wrong(where, f"{name!r} is set twice")
                elif not isinstance(values, list) or not values:
                    source.wrong(where, "needs `values` with one value")
                elif len(values) > 1:
                    shown = ", ".join(map(str, values))
                    source.wrong(where, f"has {shown}: a site is one of them, so choose one value")
                else:
                    self.paths[name] = where

    def names(self) -> list[str]:
        return list(self.paths)

    def path(self, name: str) -> str:
        """Of the whole hyperparameter; empty where there is none."""
        return self.paths.get(name, "")

    def take(self, name: str, default: Any) -> Any:
        path = self.paths.get(name)
        return default if path is None else self.source.get(f"{path}.values[0]")
