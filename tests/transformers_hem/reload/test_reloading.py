"""Files of what decides change: what is well is taken up, what is wrong leaves all as it was."""

import gc
import os
import re
import shutil
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import orjson
import pytest
from prometheus_client import REGISTRY

from predictors.errors import ConfigurationError
from tests.transformers_hem.reload.mounted import Mounted
from transformers_hem.algorithms.base import AlgorithmParameters, Batch, Route
from transformers_hem.embedded import directory
from transformers_hem.guards import GUARDS
from transformers_hem.guards.base import Guard
from transformers_hem.reload.reloading import Reloading
from transformers_hem.reload.report import Report
from transformers_hem.serving.settings import HEMSettings

ONE = Batch(1, ("1 + 1?",))


def counted(what: str, outcome: str) -> float:
    labels = {"what": what, "outcome": outcome}
    return REGISTRY.get_sample_value("hem_reload_total", labels) or 0.0


def looked(reloading: Reloading) -> Report | None:
    """As the watch does: at the second look a file has settled."""
    return reloading.look() or reloading.look()


def told(report: Report | None) -> dict[str, str]:
    assert report is not None
    return {change.what: change.outcome for change in report.changes}


def replace_file(path: Path, text: str) -> None:
    aside = path.with_name(f".{path.name}.next")
    aside.write_text(text)
    os.replace(aside, path)


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    path = tmp_path / "settings.yaml"
    path.write_text("algorithm: EdgeOnly\nthreshold: 0.25\n")
    return path


def test_settings_are_taken_up_once_they_have_settled(settings: Path) -> None:
    reloading = Reloading(HEMSettings(settings_file=str(settings)))
    assert reloading.look() is None
    before = reloading.current.now
    assert (before.decider.name, before.decider.threshold) == ("EdgeOnly", 0.25)
    replace_file(settings, "algorithm: CloudOnly\nthreshold: 0.75\n")
    assert reloading.look() is None and reloading.current.now is before
    assert told(reloading.look()) == {"settings": "loaded"}
    now = reloading.current.now
    assert (now.decider.name, now.decider.threshold, now.version) == ("CloudOnly", 0.75, 2)
    assert before.decider.decide(ONE).route == "edge"  # who began with it ends with it
    assert reloading.look() is None


def test_a_file_that_is_being_written_is_not_read(settings: Path) -> None:
    reloading = Reloading(HEMSettings(settings_file=str(settings)))
    text = "algorithm: CloudOnly\nthreshold: 0.75\n"
    for end in range(1, len(text)):
        settings.write_text(text[:end])
        assert reloading.look() is None
    settings.write_text(text)
    assert told(looked(reloading)) == {"settings": "loaded"}
    assert reloading.current.now.decider.threshold == 0.75


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("threshold: 7\n", "threshold: Input should be less than or equal to 1"),
        ("threshold: [0.5\n", "line 2"),
        ("treshold: 0.5\n", "treshold: can't be set here; known: .* did you mean 'threshold'"),
        ("cloud_url: http://elsewhere\n", "cloud_url: can't be set here"),
        ("algorithm: Nobody\n", "unknown algorithm 'Nobody'"),
        ("guards: [{name: PrivacyGuard, parameters: {words: /nowhere}}]\n", "/nowhere can't be"),
        ("algorithm: ConfidenceRouter\n", "mines the answer, and this server the query"),
        ("- threshold\n", "names of settings and their values"),
        ("threshold: 0.1\nthreshold: 0.2\n", "'threshold' is written twice"),
    ],
)
def test_what_is_wrong_is_refused_and_named_once(settings: Path, text: str, why: str) -> None:
    reloading = Reloading(HEMSettings(settings_file=str(settings)))
    before, refused = reloading.current.now, counted("settings", "refused")
    replace_file(settings, text)
    report = looked(reloading)
    assert told(report) == {"settings": "refused"}
    assert report is not None
    assert re.search(why, report.refused[0].error)
    assert reloading.current.now is before
    assert looked(reloading) is None and counted("settings", "refused") == refused + 1
    replace_file(settings, "algorithm: CloudOnly\n")
    assert told(looked(reloading)) == {"settings": "loaded"} and not reloading.refused


def test_a_setting_stands_in_one_of_both_places(settings: Path) -> None:
    with pytest.raises(ConfigurationError, match="HEM_THRESHOLD is set in the environment, too"):
        Reloading(HEMSettings(settings_file=str(settings), threshold=0.5))


def test_a_wrong_file_ends_the_start(settings: Path, tmp_path: Path) -> None:
    for name in ("settings_file", "prices_file"):
        with pytest.raises(ConfigurationError, match=f"HEM_{name.upper()}.*can't be read"):
            Reloading(HEMSettings(**{name: str(tmp_path / "absent")}))


@pytest.fixture
def router(tmp_path: Path) -> Path:
    path = tmp_path / "router"
    shutil.copytree(directory("embedded:linear"), path)
    return path


def with_threshold(router: Path, threshold: float) -> None:
    config = router / "config.json"
    content = {**orjson.loads(config.read_bytes()), "threshold": threshold}
    replace_file(config, orjson.dumps(content).decode())


def test_a_router_that_was_trained_or_calibrated_anew_is_taken_up(router: Path) -> None:
    reloading = Reloading(HEMSettings(algorithm="LinearRouter", router=str(router)))
    with_threshold(router, 0.9)
    assert told(looked(reloading)) == {"router": "loaded"}
    assert reloading.current.now.decider.threshold == 0.9


def test_what_is_in_force_no_longer_is_let_go(router: Path) -> None:
    reloading = Reloading(HEMSettings(algorithm="LinearRouter", router=str(router)))
    held = []
    for threshold in (0.7, 0.8, 0.9):
        held.append(weakref.ref(reloading.current.now.decider.algorithm))
        with_threshold(router, threshold)
        assert told(looked(reloading)) == {"router": "loaded"}
    gc.collect()
    assert [each() for each in held] == [None] * 3


def test_a_damaged_router_is_refused(router: Path) -> None:
    reloading = Reloading(HEMSettings(algorithm="LinearRouter", router=str(router)))
    before = reloading.current.now
    weights = (router / "weights.safetensors").read_bytes()
    (router / "weights.safetensors").write_bytes(weights[:-1])
    assert told(looked(reloading)) == {"router": "refused"}
    assert "sha256 differs" in reloading.refused[0].error
    assert reloading.current.now is before
    (router / "weights.safetensors").write_bytes(weights)
    assert told(looked(reloading)) == {"router": "loaded"}


def privacy(words: Path, **more: str) -> str:
    parameters = {"kinds": "card", "words": str(words), **more}
    return orjson.dumps([{"name": "PrivacyGuard", "parameters": parameters}]).decode()


def test_words_of_a_guard_are_taken_up_and_nothing_else_is_made_anew(
    router: Path, tmp_path: Path
) -> None:
    mount = Mounted(tmp_path / "lists", {"words": "falcon\n"})
    reloading = Reloading(
        HEMSettings(
            algorithm="LinearRouter",
            router=str(router),
            guards=f'["ResourceSensitiveRouter", {privacy(mount / "words")[1:]}',
        )
    )
    before = reloading.current.now.decider
    secret = Batch(1, ("the plan of osprey",))
    assert not before.is_private(secret)
    mount.put({"words": "osprey\n"})
    assert told(looked(reloading)) == {"guards": "loaded"}
    now = reloading.current.now.decider
    assert now.is_private(secret) and not before.is_private(secret)
    assert now.algorithm is before.algorithm and now.drift is before.drift
    kept = "ResourceSensitiveRouter"
    assert now.guards[kept] is before.guards[kept]


def test_words_that_come_after_the_setting_that_names_them(settings: Path, tmp_path: Path) -> None:
    reloading = Reloading(HEMSettings(settings_file=str(settings)))
    words = tmp_path / "words"
    replace_file(settings, f"algorithm: EdgeOnly\nguards: {privacy(words)}\n")
    assert told(looked(reloading))["settings"] == "refused"
    words.write_text("osprey\n")
    assert looked(reloading) is not None
    assert reloading.current.now.decider.is_private(Batch(1, ("osprey",)))
    assert not reloading.refused


class Watching(Guard):
    """Has something to end."""

    open: ClassVar[int] = 0

    def __init__(self, parameters: AlgorithmParameters) -> None:
        Watching.open += 1

    def route(self, batch: Batch) -> Route | None:
        return None

    def close(self) -> None:
        Watching.open -= 1


def test_a_guard_ends_when_another_is_in_its_place_or_nobody_takes_it(settings: Path) -> None:
    GUARDS.register("Watching", f"{__name__}:Watching")
    own = "algorithm: EdgeOnly\nguards: [Watching]\n"
    replace_file(settings, own)
    reloading = Reloading(HEMSettings(settings_file=str(settings)))
    assert Watching.open == 1
    replace_file(settings, f"{own}batch_policy: all\n")
    assert told(looked(reloading)) == {"settings": "loaded"} and Watching.open == 1
    replace_file(settings, "algorithm: EdgeOnly\n")
    assert looked(reloading) and Watching.open == 0
    replace_file(settings, own.replace("EdgeOnly", "ConfidenceRouter"))
    assert told(looked(reloading)) == {"settings": "refused"} and Watching.open == 0


PRICES = "currency: USD\nmodels: {m: {input: 1, output: 2}}\n"


def test_parts_stand_for_themselves(settings: Path, tmp_path: Path) -> None:
    prices, tokens = tmp_path / "prices.yaml", tmp_path / "tokens.yaml"
    prices.write_text(PRICES)
    tokens.write_text("sk-one\n")
    files = {"settings_file": settings, "prices_file": prices, "api_keys_file": tokens}
    reloading = Reloading(HEMSettings(**{name: str(path) for name, path in files.items()}))
    replace_file(settings, "threshold: 7\n")
    replace_file(prices, PRICES.replace("USD", "EUR"))
    replace_file(tokens, "tokens: [{name: a}]\n")
    report = looked(reloading)
    assert told(report) == {"settings": "refused", "prices": "loaded", "tokens": "refused"}
    now = reloading.current.now
    assert now.prices is not None and now.prices.currency == "EUR"
    assert now.keys.check({"authorization": "Bearer sk-one"}).name == "key-1"


@pytest.mark.parametrize("host", ["127.0.0.1", "*"])
def test_tokens_may_come_and_go(tmp_path: Path, host: str) -> None:
    path = tmp_path / "tokens"
    reloading = Reloading(HEMSettings(api_keys_file=str(path), host=host))
    for text in (None, "sk-one\n", None):
        if text is None:
            path.unlink(missing_ok=True)
        else:
            path.write_text(text)
        reloading.reload()
        keys = reloading.current.now.keys
        assert (keys.callers is None) == (text is None)
        assert keys.open == (host == "127.0.0.1")


def test_an_admin_need_not_wait(settings: Path) -> None:
    reloading = Reloading(HEMSettings(settings_file=str(settings)))
    assert reloading.reload().as_json()["changes"] == []
    replace_file(settings, "algorithm: CloudOnly\n")
    report = reloading.reload().as_json()
    assert report["version"] == 2
    assert report["changes"] == [{"what": "settings", "outcome": "loaded"}]
    assert report["unchanged"] == ["router", "guards", "prices", "tokens"]
    replace_file(settings, "threshold: 7\n")
    for _ in range(2):  # what was refused is tried again
        assert "threshold" in reloading.reload().as_json()["error"]


def test_whoever_follows_is_told(settings: Path) -> None:
    reloading = Reloading(HEMSettings(settings_file=str(settings)))
    seen: list[Any] = []
    follow: Callable[[Any], None] = seen.append
    reloading.on_change(follow)
    replace_file(settings, "algorithm: CloudOnly\n")
    looked(reloading)
    replace_file(settings, "threshold: 7\n")
    looked(reloading)
    assert seen == [reloading.current.now]
