"""What makes a model, and a query to it, another one."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from predictors.cache.key import answer_key, model_identity
from predictors.contents import END_BYTES
from predictors.contract import Message, Query, Sampling, parse_sampling
from predictors.errors import ConfigurationError
from predictors.settings import EngineSettings


class Settings(EngineSettings):
    model_dir: str = "embedded:edge"
    revision: str | None = None
    body: SecretStr = SecretStr("{}")


def identity(name: str = "m", engine: str = "e", **options: Any) -> bytes:
    return model_identity(name, engine, Settings(**options))


def test_a_model_is_its_name_its_engine_and_every_option() -> None:
    others = [
        identity("other"),
        identity(engine="other"),
        identity(model_dir="embedded:cloud"),
        identity(revision="v2"),
        identity(body=SecretStr('{"top_k": 1}')),
    ]
    assert identity() == identity()
    assert len({identity(), *others}) == 1 + len(others)


def test_a_directory_is_what_lies_in_it_wherever_in_a_file_it_changed(tmp_path: Path) -> None:
    weights = tmp_path / "model.safetensors"
    content = bytearray(3 * END_BYTES)
    found = []
    for position in (None, 0, len(content) - 1):
        if position is not None:
            content[position] += 1
        weights.write_bytes(content)
        found.append(identity(model_dir=str(tmp_path)))
    (tmp_path / "config.json").write_text("{}")
    found.append(identity(model_dir=str(tmp_path)))
    assert len(set(found)) == 4


def test_a_directory_that_can_not_be_read_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert identity(model_dir=str(tmp_path)) != identity(model_dir=str(tmp_path / "loop"))
    with pytest.raises(ConfigurationError, match="cache: the model can't be read"):
        identity(model_dir="/proc/self/mem")


def test_a_greedy_query_is_the_same_whatever_top_p_and_seed_are() -> None:
    def key(text: str = "q", **sampling: Any) -> bytes:
        return answer_key(b"model", Query(text, Sampling(**sampling)))

    greedy = {"temperature": 0.0}
    assert key(**greedy) == key(**greedy, top_p=0.1, seed=3)
    assert key() != key(top_p=0.1)
    assert key() != key(seed=3)
    assert key(**greedy) != key(**greedy, stop=("a",))
    assert key(**greedy) != key("Q", **greedy)
    assert key() != answer_key(b"other", Query("q", Sampling()))


def test_an_answer_that_goes_on_is_another_one_than_a_new_one() -> None:
    messages = (Message("user", "q"), Message("assistant", "a"))
    anew, goes_on = (Query("q", messages=messages, continues=each) for each in (False, True))
    assert answer_key(b"model", anew) != answer_key(b"model", goes_on)


def test_a_default_that_is_asked_for_may_be_another_answer_than_one_that_nobody_named() -> None:
    """An API without the field gets the one, and not the other."""
    unnamed, named = Sampling(), parse_sampling({"repetition_penalty": 1.05}, Sampling())
    assert unnamed == named
    keys = {answer_key(b"model", Query("q", sampling)) for sampling in (unnamed, named)}
    assert len(keys) == 2
    others = parse_sampling({"temperature": 0.8}, Sampling())
    assert answer_key(b"model", Query("q", others)) in keys
