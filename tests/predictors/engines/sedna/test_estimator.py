"""The engine that runs a user's Estimator, and the stand-in for Sedna's library."""

import asyncio
import sys
import textwrap
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from predictors.contract import BOXES, PROBABILITIES, Answer, Query, Sampling
from predictors.contract.tensors import Tensor, TensorRequest
from predictors.engines.sedna.engine import SednaEngine, SednaSettings
from predictors.errors import ConfigurationError, EngineError, InvalidRequest, Overloaded
from predictors.settings import read_settings

Write = Callable[[str], str]
NUMBERS = count()  # Python keeps one module of a name


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """write(code) is what --estimator takes; the variables are as Sedna gives them."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in ("MODEL_URL", "MODEL_LOAD_MODE"):
        monkeypatch.setenv(name, "")

    def write(code: str) -> str:
        path = tmp_path / f"estimator_{next(NUMBERS)}.py"
        path.write_text(textwrap.dedent(code))
        return f"{path}:Estimator"

    return write


@asynccontextmanager
async def started(estimator: str, **options: Any) -> AsyncIterator[SednaEngine]:
    engine = SednaEngine(SednaSettings(estimator=estimator, **options))
    try:
        await engine.start()
        yield engine
    finally:
        await engine.close()


def pixels(*rows: list[float]) -> TensorRequest:
    return TensorRequest({"image": Tensor.of(np.array(rows, dtype=np.float32))})


PREDICTING = """
    class Estimator:
        def predict(self, data, **kwargs):
            return {returned}
"""


@pytest.mark.parametrize(
    ("returned", "text"),
    [("data[0] + '!'", "a!"), ("[data[0]]", "a"), ("(data[0],)", "a"), ("{'text': 'b'}", "b")],
)
async def test_what_the_examples_return_is_the_answer(
    write: Write, returned: str, text: str
) -> None:
    async with started(write(PREDICTING.format(returned=returned))) as engine:
        assert await engine.generate([Query("a")]) == [Answer(text)]


async def test_an_answer_of_ianvs_has_its_telemetry(write: Write) -> None:
    code = """
    class Estimator:
        def inference(self, data):
            return {
                "completion": data["query"],
                "usage": {"prompt_tokens": 5, "completion_tokens": 1},
                "perf": {"time_to_first_token": 0.5, "internal_token_latency": float("nan")},
            }
    """
    async with started(write(code), query_as="dict") as engine:
        (answer,) = await engine.generate([Query("a")])
    assert answer == Answer("a", prompt_tokens=5, completion_tokens=1, time_to_first_token=0.5)


async def test_predict_gets_the_parameters_that_are_named_for_it(write: Write) -> None:
    code = write(PREDICTING.format(returned="repr((data, kwargs))"))
    named = "temperature, max_new_tokens=max_tokens"
    async with started(code, query_as="text", predict_parameters=named) as engine:
        (answer,) = await engine.generate([Query("a", Sampling(max_tokens=7, temperature=0.5))])
    assert answer.text == "('a', {'temperature': 0.5, 'max_new_tokens': 7})"


@pytest.mark.parametrize(
    "load", ["load(self, model_path='')", "load(self, **model)", "load(self, *, model_url)"]
)
async def test_load_gets_the_model_however_it_names_it(
    write: Write, load: str, tmp_path: Path
) -> None:
    code = f"""
    import os
    class Estimator:
        def __init__(self, greeting):
            self.greeting = greeting
        def {load}:
            (self.model,) = [v for k, v in locals().items() if k != "self"]
        def predict(self, data):
            return f"{{self.greeting}} {{self.model}} {{os.environ['MODEL_URL']}}"
    """
    where = str(tmp_path)
    options = {"model_dir": where, "estimator_parameters": '{"greeting": "hello"}'}
    async with started(write(code), **options) as engine:
        (answer,) = await engine.generate([Query("a")])
    got = {"model_url": where} if "**" in load else where
    assert answer.text == f"hello {got} {where}"


async def test_names_of_sednas_library_stand_in_while_the_class_is_loaded(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INPUT_SHAPE", "4,8")
    monkeypatch.setenv("HEM_NAME", "IBT")
    monkeypatch.setenv("HEM_PARAMETERS", '[{"key": "threshold_img", "value": "0.9"}]')
    monkeypatch.setenv("MODEL_NAME", "m")
    code = """
    from core.common.log import LOGGER
    from sedna.common.class_factory import ClassFactory, ClassType
    from sedna.common.config import BaseConfig, Context
    from sedna.common.file_ops import FileOps
    from sedna.core.joint_inference import BigModelService, JointInference
    import sedna.common.log

    @ClassFactory.register(ClassType.GENERAL, alias="Mine")
    class Estimator:
        def load(self):
            import sedna
        def predict(self, data):
            assert ClassFactory.get_cls(ClassType.GENERAL, "Mine") is Estimator
            mining = Context.get_algorithm_from_api("HEM", threshold_box=1)
            shape = Context.get_parameters("input_shape")
            return repr((shape, mining, BaseConfig.model_name, BaseConfig().job_name))
    """
    async with started(write(code)) as engine:
        (answer,) = await engine.generate([Query("a")])
    mining = {"method": "IBT", "param": {"threshold_img": "0.9", "threshold_box": 1}}
    assert answer.text == repr(("4,8", mining, "m", "sedna"))
    assert not [name for name in sys.modules if name.partition(".")[0] == "sedna"]


async def test_the_real_library_is_taken_where_it_is(write: Write, tmp_path: Path) -> None:
    (tmp_path / "sedna").mkdir()
    (tmp_path / "sedna/__init__.py").write_text("real = 'the real one'")
    sys.path.insert(0, str(tmp_path))
    code = "import sedna\n" + textwrap.dedent(PREDICTING.format(returned="sedna.real"))
    try:
        async with started(write(code)) as engine:
            assert await engine.generate([Query("a")]) == [Answer("the real one")]
    finally:
        sys.modules.pop("sedna", None)


EMPTY = "class Estimator:\n    def predict(self, data):\n        return 'a'\n"


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("from sedna.datasources import TxtDataParse", "sedna.datasources is not among the names"),
        ("from sedna.common.config import Nobody", "sedna.common.config.Nobody is not among"),
        ("import no_such_package", "no module 'no_such_package'"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("from sedna.core.joint_inference import BigModelService as B; B()", "is not run here"),
        ("class Estimator: pass", "it has no method predict"),
        ("class Other: pass", "has no 'Estimator'"),
        (f"{EMPTY}    def load(self, model_url): pass", "no model is given: --model_dir or MODEL_"),
        (f"{EMPTY}    def load(self): raise OSError('x' * 5000)", "OSError: xxx"),
        (f"{EMPTY}    def __init__(self, name): pass", "missing 1 required positional argument"),
    ],
)
async def test_what_can_not_be_loaded_is_said_in_one_line(
    write: Write, code: str, said: str
) -> None:
    with pytest.raises(ConfigurationError) as raised:
        async with started(write(code)):
            pass
    assert said in str(raised.value)
    assert str(raised.value).startswith("--estimator '")
    assert len(str(raised.value)) < 1500


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"estimator": "interface.py"}, "--estimator 'interface.py'"),
        ({"estimator": "a:B", "predict_parameters": "max_token"}, "did you mean 'max_tokens'"),
        ({"estimator": "a:B", "result": "vectors"}, "--result 'vectors'"),
        ({}, "--estimator is required"),
    ],
)
def test_an_option_that_is_none_is_refused(options: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        read_settings(SednaSettings, options)


async def test_a_model_that_is_not_there_is_an_error_unless_it_is_no_path(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    estimator = write(f"{EMPTY}    def load(self, model_url): pass")
    with pytest.raises(ConfigurationError, match="model org/model does not exist; what is no path"):
        async with started(estimator, model_dir="org/model"):
            pass
    monkeypatch.setenv("MODEL_LOAD_MODE", "hf")
    async with started(estimator, model_dir="org/model") as engine:
        assert await engine.generate([Query("a")])


FAILING = """
    import sys
    class Estimator:
        def predict(self, data):
            if data[0] == "raise":
                raise ValueError("the model's own words" + "s" * 5000)
            if data[0] == "exit":
                sys.exit("gone")
            if data[0] == "stop":
                raise StopIteration
            return None if data[0] == "none" else data[0]
"""


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("raise", "Estimator.predict failed: ValueError: the model's own words"),
        ("exit", "Estimator.predict failed: SystemExit: gone"),
        ("stop", "Estimator.predict failed: StopIteration"),
        ("none", "Estimator: None is no answer"),
    ],
)
async def test_a_query_that_fails_fails_alone(write: Write, query: str, said: str) -> None:
    async with started(write(FAILING)) as engine:
        calls = [engine.generate([Query(text)]) for text in ("a", query, "b")]
        first, failed, last = await asyncio.gather(*calls, return_exceptions=True)
    assert (first, last) == ([Answer("a")], [Answer("b")])
    assert type(failed) is EngineError
    assert said in str(failed)
    assert len(str(failed)) < 500


WAITING = """
    import threading
    gate = threading.Event()
    asked = []
    class Estimator:
        def predict(self, data):
            asked.append(data[0])
            return data[0] if data[0] != "wait" or gate.wait(60) else "late"
"""


def module_of(estimator: str) -> Any:
    return sys.modules[Path(estimator.rpartition(":")[0]).stem]


async def test_a_call_that_is_late_is_an_error_and_ends_a_process_that_has_no_thread_left(
    write: Write,
) -> None:
    estimator = write(WAITING)
    async with started(estimator, timeout=0.1) as engine:
        gate: threading.Event = module_of(estimator).gate
        assert engine.cause_of_death() is None
        with pytest.raises(EngineError, match=r"predict has not returned within 0\.1 s"):
            await engine.generate([Query("wait")])
        assert engine.cause_of_death() == "predict has not returned within 0.1 s, in any thread"
        gate.set()
        assert await engine.generate([Query("b")]) == [Answer("b")]
        assert engine.cause_of_death() is None


async def test_a_full_queue_refuses_and_a_caller_who_leaves_gives_the_place_up(
    write: Write,
) -> None:
    estimator = write(WAITING)
    async with started(estimator, max_queue=2) as engine:
        module = module_of(estimator)
        runs = asyncio.create_task(engine.generate([Query("wait")]))
        leaves = asyncio.create_task(engine.generate([Query("left")]))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            await engine.generate([Query("a")])
        leaves.cancel()
        await asyncio.wait([leaves])
        stays = asyncio.create_task(engine.generate([Query("b")]))
        module.gate.set()
        assert [await runs, await stays] == [[Answer("wait")], [Answer("b")]]
        assert module.asked == ["wait", "b"]


async def test_boxes_are_filled_up_and_infinite_ones_left_out(write: Write) -> None:
    returned = "[[0, 0, 1, 1, s, 2] for s in data.tolist() if s] + [[0, 0, float('inf'), 1, 1, 1]]"
    code = write(PREDICTING.format(returned=returned))
    async with started(code, result="boxes") as engine:
        response = await engine.infer(pixels([0.5, 0.25], [0.75, 0.0]))
    boxes = response.outputs[BOXES].values
    assert boxes.shape == (2, 2, 6)
    assert boxes[0, :, 4].tolist() == [0.5, 0.25]
    assert boxes[1, :, 5].tolist() == [2, -1]


async def test_probabilities_come_as_a_list_or_as_one_in_a_list(write: Write) -> None:
    returned = "data.tolist() if data[0] else {'probabilities': [data.tolist()]}"
    code = write(PREDICTING.format(returned=returned))
    async with started(code, result="probabilities") as engine:
        response = await engine.infer(pixels([0.5, 0.5], [0.0, 1.0]))
        assert [each.shape for each in engine.outputs()] == [(-1, -1)]
    assert response.outputs[PROBABILITIES].values.tolist() == [[0.5, 0.5], [0.0, 1.0]]


@pytest.mark.parametrize(
    ("result", "returned", "said"),
    [
        ("boxes", "[[1, 2, 3]]", "is no list of boxes"),
        ("boxes", "'a'", "is no list of numbers"),
        ("probabilities", "[float('nan'), 1]", "is no list of the classes' probabilities"),
        ("probabilities", "[]", "is no list of the classes' probabilities"),
        ("probabilities", "data[: int(data[0])]", "have different numbers of classes"),
    ],
)
async def test_numbers_that_are_none_are_the_models_fault(
    write: Write, result: str, returned: str, said: str
) -> None:
    code = write(PREDICTING.format(returned=returned))
    async with started(code, result=result) as engine:
        with pytest.raises(EngineError, match=said):
            await engine.infer(pixels([1.0, 0.5], [2.0, 1.0]))


@pytest.mark.parametrize(
    ("result", "request_", "said"),
    [
        ("text", pixels([1.0]), "send text_input"),
        ("boxes", Query("a"), "send an image"),
        ("boxes", TensorRequest({"image": Tensor.of(np.ones(3))}), r"send \[N, ...\]"),
        (
            "boxes",
            TensorRequest({n: Tensor.of(np.ones((1, 2))) for n in ("a", "b")}),
            "takes one input",
        ),
    ],
)
async def test_a_request_of_the_wrong_kind_is_the_callers_fault(
    write: Write, result: str, request_: Query | TensorRequest, said: str
) -> None:
    async with started(write(EMPTY), result=result) as engine:
        with pytest.raises(InvalidRequest, match=said):
            if isinstance(request_, Query):
                await engine.generate([request_])
            else:
                await engine.infer(request_)


async def test_user_code_may_write_into_its_image(write: Write) -> None:
    read_only = np.ones((1, 2), dtype=np.float32)
    read_only.flags.writeable = False
    code = write(PREDICTING.format(returned="data.__iadd__(1).tolist()"))
    async with started(code, result="probabilities") as engine:
        response = await engine.infer(TensorRequest({"image": Tensor.of(read_only)}))
    assert response.outputs[PROBABILITIES].values.tolist() == [[2.0, 2.0]]
