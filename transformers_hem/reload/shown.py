"""What is in force, as JSON for an admin: names, numbers and hashes; no key, no secret value."""

from typing import Any

from predictors.upstream.redaction import SECRET_NAME, STRUCK, shown_value
from transformers_hem.algorithms.base import AlgorithmParameters
from transformers_hem.gateway.callers import Caller
from transformers_hem.gateway.keys import Keys
from transformers_hem.reload.files import digest
from transformers_hem.reload.reloading import Reloading
from transformers_hem.serving.decision import Decider


def shown(reloading: Reloading) -> dict[str, Any]:
    """Reads files for their hashes, which takes time."""
    now = reloading.current.now
    told: dict[str, Any] = {"version": now.version, **_decider(now.decider)}
    told["decide_at"] = now.decide_at
    told["guards"] = {
        name: _parameters(parameters) for name, parameters in reloading.guards().items()
    }
    if now.prices is not None:
        models = sorted(now.prices.models)
        told["prices"] = {"currency": now.prices.currency, "models": models}
    told["tokens"] = _tokens(now.keys)
    told["files"] = {
        what: {str(path): None if what == "tokens" else digest(path) for path in files}
        for what, files in reloading.files().items()
        if files
    }
    told["refused"] = [change.as_json() for change in reloading.refused]
    return told


def _decider(decider: Decider) -> dict[str, Any]:
    version = decider.router_version
    return {
        "algorithm": decider.name,
        "router": decider.router,
        **({} if version is None else {"router_version": version}),
        "threshold": decider.threshold,
        "batch_policy": decider.policy,
    }


def _parameters(parameters: AlgorithmParameters) -> dict[str, Any]:
    return {name: _value(name, value) for name, value in parameters.model_dump(mode="json").items()}


def _value(name: str, value: Any) -> Any:
    if isinstance(value, str) and value and SECRET_NAME.search(name):
        return STRUCK
    return shown_value(name, value)


def _tokens(keys: Keys) -> dict[str, Any]:
    """By whom, and what each may do; never a hash of a key, by which a short one could be found."""
    if keys.callers is None:
        return {"everybody": keys.open, "callers": {}}
    callers = {caller.name: caller for caller in keys.callers.values()}
    return {"everybody": False, "callers": {name: _policy(callers[name]) for name in callers}}


def _policy(caller: Caller) -> dict[str, Any]:
    policy = {
        "requests_per_minute": caller.requests_per_minute,
        "models": None if caller.models is None else sorted(caller.models),
        "side": caller.side,
        "guards": None if caller.guards is None else sorted(caller.guards),
        "admin": caller.admin,
    }
    return {name: value for name, value in policy.items() if value not in (None, False, "both")}
