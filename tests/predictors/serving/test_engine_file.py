"""`--engine_config`: options of the engine from a file, and what is said of a wrong one."""

from pathlib import Path

import pytest

from predictors.engines.classifier import ClassifierSettings
from predictors.engines.vllm.settings import VLLMSettings
from predictors.errors import ConfigurationError
from predictors.serving.engine_file import read_engine_file
from predictors.settings import read_settings
from tests.predictors.serving.test_command_line import run


def written(folder: Path, text: str | bytes) -> str:
    path = folder / "config.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def classifier(path: str, **options: str) -> ClassifierSettings:
    file = read_engine_file(path, ClassifierSettings)
    return read_settings(ClassifierSettings, {"model_dir": "m", **options}, file)


def test_the_file_says_what_options_and_environment_leave_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, "activation: softmax\noutput: scores\nmax_queue: 7\n")
    monkeypatch.setenv("PREDICTOR_OUTPUT", "other")

    settings = classifier(path, activation="sigmoid")
    assert (settings.activation, settings.output, settings.max_queue) == ("sigmoid", "other", 7)
    assert settings.max_batch_size == 64


def test_mappings_and_lists_are_yaml(tmp_path: Path) -> None:
    path = written(tmp_path, "engine_args: {block_size: 64}\ndevice_ids: [0, 1]\n")
    file = read_engine_file(path, VLLMSettings)

    settings = read_settings(VLLMSettings, {"model_dir": "m"}, file)
    assert settings.engine_args == {"block_size": 64}
    assert settings.device_ids == [0, 1]


@pytest.mark.parametrize("text", ["", "# nothing\n"])
def test_an_empty_file_says_nothing(text: str, tmp_path: Path) -> None:
    assert classifier(written(tmp_path, text)).activation == "auto"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("activaton: softmax\n", "has no option 'activaton'; .*did you mean 'activation'"),
        ("activation: hard\n", "config.yaml: activation 'hard': Input should be"),
        ("max_queue: 0\n", "config.yaml: max_queue 0: Input should be greater than"),
        ("a: 1\na: 2\n", "config.yaml, line 2: the key 'a' is written twice"),
        ("a: [1\n", "config.yaml, line 2: "),
        ("- a\n", "config.yaml: is no mapping"),
        (b"a: \xff\n", "config.yaml: not UTF-8"),
    ],
)
def test_a_wrong_file_is_one_line_with_its_name(
    text: str | bytes, fault: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match=fault) as refused:
        classifier(written(tmp_path, text))
    assert str(refused.value).startswith("--engine_config /")
    assert "\n" not in str(refused.value)


def test_a_server_with_a_file_that_is_not_there_does_not_start() -> None:
    result = run("--engine", "classifier", "--model_dir", "m", "--engine_config", "/no/such.yaml")
    assert result.returncode == 2
    assert "--engine_config /no/such.yaml: No such file" in result.stderr.splitlines()[-1]
