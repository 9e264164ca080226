"""What can be tested of the vllm engine where vLLM is not installed."""

import json
import logging
import logging.config
from importlib.util import find_spec

import pytest

from predictors.engines import ENGINES
from predictors.engines.vllm.failures import LONGEST, Failures
from predictors.engines.vllm.settings import VLLMSettings
from predictors.errors import ConfigurationError
from predictors.settings import read_settings


@pytest.mark.skipif(find_spec("vllm") is not None, reason="vLLM is installed")
def test_without_vllm_the_extra_is_named() -> None:
    expected = r"'vllm' needs the package 'vllm'.*kserve-hem\[vllm\]"
    with pytest.raises(ConfigurationError, match=expected):
        ENGINES.load("vllm")


def test_json_options_come_as_text_from_either_side(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREDICTOR_SPECULATIVE_CONFIG", '{"method": "ngram"}')
    options = {"model_dir": "m", "engine_args": '{"block_size": 64}', "device_ids": "[0, 1]"}
    settings = read_settings(VLLMSettings, options)
    assert settings.speculative_config == {"method": "ngram"}
    assert settings.engine_args == {"block_size": 64}
    assert settings.device_ids == [0, 1]


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("engine_args", "{block", "--engine_args '{block': is not JSON"),
        ("engine_args", "[1]", r"--engine_args \[1\]: Input should be a valid dictionary"),
        ("gpu_memory_utilization", "1.5", "less than or equal to 1"),
        ("tensor_parallel_size", "0", "greater than or equal to 1"),
    ],
)
def test_a_wrong_option_is_named(option: str, value: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        read_settings(VLLMSettings, {"model_dir": "m", option: value})


def test_a_wrong_value_in_the_environment_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREDICTOR_ENGINE_ARGS", "{block")
    with pytest.raises(ConfigurationError, match=r"--engine_args '\{block'"):
        read_settings(VLLMSettings, {"model_dir": "m"})


class TestTheCauseOfAFailure:
    @pytest.fixture
    def failures(self):
        failures = Failures()
        yield failures
        failures.close()

    def logged(self, failures: Failures, *errors: Exception) -> str:
        """As a process of vLLM's logs them, and then dies."""
        config = {
            "version": 1,
            "disable_existing_loggers": False,
            "handlers": {"quiet": {"class": "logging.NullHandler"}},
            "loggers": {"test-vllm": {"handlers": ["quiet"], "propagate": False}},
        }
        path = failures.logging_config(config)
        logging.config.dictConfig(json.loads(path.read_text()))
        logger = logging.getLogger("test-vllm")
        logger.info("not an error")
        for error in errors:
            try:
                raise error
            except Exception:
                logger.exception("Worker failed to start.")
        return failures.cause(RuntimeError("Engine core initialization failed. See root cause"))

    def test_is_what_the_first_process_raised(self, failures: Failures) -> None:
        last = RuntimeError("WorkerProc initialization failed due to an exception")
        message = self.logged(failures, MemoryError("no room for the weights"), last)
        assert message == "no room for the weights"

    def test_is_cut_where_it_is_endless(self, failures: Failures) -> None:
        assert len(self.logged(failures, ValueError("x" * 9_000))) == LONGEST + 3

    def test_is_what_this_process_heard_where_nothing_was_logged(self, failures: Failures) -> None:
        assert failures.cause(RuntimeError("killed\nand more")) == "killed"
