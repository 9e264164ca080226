"""Conditions that never do what they say: errors, with the form that does.

What the router makes of each was read off Go's gjson 1.18, which finds nothing for any of these
bodies (NEVER), something in all of them (ALWAYS), or not what is asked for (OTHERWISE).
"""

import json
from pathlib import Path
from typing import Any

import pytest

from inferencegraph.build.graph import routed_to
from inferencegraph.check.conditions import check_condition
from inferencegraph.check.validate import refuse_graph, validate
from inferencegraph.read.documents import read
from inferencegraph.router.conditions import Condition
from predictors.errors import ConfigurationError
from tests.inferencegraph.running_hem import hem

EDGE, CLOUD = routed_to("edge"), routed_to("cloud")
BODIES = [
    json.dumps(body).encode()
    for body in (
        {"id": "1", "inputs": [], "parameters": {"hem_route": "edge", "hem_score": 0.2, "a": 1}},
        {"parameters": {"hem_route": "cloud", "hem_score": 0.7, "a": 1, "b": 2}, "outputs": []},
        {"predictions": ["dog", "cat"], "outputs": [{"name": "score", "data": [0.7]}]},
        {"error": "ServiceUnavailable: cloud"},
    )
]
NEVER = [
    # The path, a part of the reason, and the right form that is printed.
    ("true", "is a key to gjson", "@this"),
    ("default", "is a key to gjson", "@this"),
    ("else", "is a key to gjson", "@this"),
    ("True", "is a key to gjson", "@this"),
    ("1", "is a key to gjson", CLOUD),
    (" ", "is blank", CLOUD),
    ("\n", "is blank", CLOUD),
    (" error", "begins with a blank", "error"),
    ("error\n", "ends with a blank or a line feed", "error"),
    (f" {EDGE}", "begins with a blank", EDGE),
    ("[@this].#(parameters.hem_route=='edge')", "has single quotes", EDGE),
    ("parameters.hem_route=='edge'", "has single quotes", EDGE),
    ('parameters.hem_route=="edge"', "compares outside of #(...)", EDGE),
    ('[@this].0.parameters.hem_route=="edge"', "compares outside of #(...)", None),
    ('hem_route=="edge"', "compares outside of #(...)", EDGE),
    ('[@this].#(hem_route=="edge")', "stands under parameters", EDGE),
    ("hem_score", "stands under parameters", "parameters.hem_score"),
    ('[@this].#(parameters.hem_rout=="edge")', "did you mean 'hem_route'?", CLOUD),
    ('[@this].#(parameters.hem_route=="Cloud")', "'edge' or 'cloud'", CLOUD),
    ("cloud", "is a key to gjson", CLOUD),
    ("hard", "is a key to gjson", CLOUD),
    ('$response.parameters.hem_route=="edge"', "names the body", EDGE),
    ('[@this].#($response.parameters.hem_route=="edge")', "names the body", EDGE),
    ("$.parameters.hem_route", "names the body", "parameters.hem_route"),
    (".parameters.hem_route", "names the body", "parameters.hem_route"),
    ("/parameters/hem_route", "names the body", CLOUD),
    ("response.error", "names the body", "error"),
    ("!error", "negates", CLOUD),
    ("not error", "negates", CLOUD),
    ("predictions[0]", "an index or a key in brackets", "predictions.0"),
    ("outputs[0].data[0]", "an index or a key in brackets", "outputs.0.data.0"),
    ("parameters['hem_route']", "single quotes", "parameters.hem_route"),
    ('[@this].#(predictions[0]=="dog")', "brackets", '[@this].#(predictions.0=="dog")'),
    ('[@this].#(parameters.hem_route==="edge")', "an operator that gjson doesn't know", EDGE),
    ('[@this].#(parameters.hem_route eq "edge")', "a word for an operator", EDGE),
    ('#(parameters.hem_route=="edge")', "a body is an object", EDGE),
    ('parameters.#(hem_route=="edge")', "stands under", EDGE),
    ("parameters.#(a==1)", "[parameters] is a list", None),
    ('@this.#(parameters.hem_route=="edge")', "[@this] is a list", EDGE),
    ('[@this].(parameters.hem_route=="edge")', "a query is #(...)", EDGE),
    ("[@this].parameters.hem_route", "asks a list for 'parameters'", CLOUD),
    ('"error"', "has quotes in the key", CLOUD),
    ('parameters."hem_route"', "has quotes in the key", CLOUD),
    ('[@this].#("edge"==parameters.hem_route)', "quotes in the key", CLOUD),
    ("len(predictions)>0", "calls a function", CLOUD),
    ("status==500", "can't see", "error"),
    ("^.*$", "has ^ in the key", CLOUD),
    ("error;", "has ; in the key", CLOUD),
    ("parameters/hem_route", "names the body", CLOUD),
    ("[@this].#(parameters.a==True)", "is true in JSON", "[@this].#(parameters.a==true)"),
    (f"{CLOUD}.#(parameters.a==1)", "an object, as a list", f"{CLOUD}#|#(parameters.a==1)"),
    ("outputs.score.data.0", "found by its name", 'outputs.#(name=="score").data.0'),
    (
        "[@this].#(outputs.score.data.0>0.5)",
        "found by its name",
        '[@this].#(outputs.#(name=="score").data.0>0.5)',
    ),
    ("@nosuch", "has no modifier of gjson", CLOUD),
    ("a..b", "an empty key", CLOUD),
    ("[@this].#(error==null)", "compares with null", CLOUD),
    (
        '[@this].#(parameters.hem_route=="edge" || parameters.hem_route=="cloud")',
        "an alternative",
        f"[{EDGE},{CLOUD}].0",
    ),
]
OTHERWISE = [
    (
        "[@this].#(parameters.hem_score>0.5 && parameters.hem_score<=0.9)",
        "joins two tests",
        "[@this].#(parameters.hem_score>0.5)#|#(parameters.hem_score<=0.9)",
    ),
    (
        "[@this].#((parameters.hem_score>0.5) and (parameters.a==1))",
        "joins two tests",
        "[@this].#(parameters.hem_score>0.5)#|#(parameters.a==1)",
    ),
    (
        "[@this].#(parameters.hem_score>0.5)&&[@this].#(parameters.a==1)",
        "joins two tests",
        "[@this].#(parameters.hem_score>0.5)#|#(parameters.a==1)",
    ),
    ("[@this].#(parameters.hem_score=>0.5)", "operator", "[@this].#(parameters.hem_score>=0.5)"),
    ("[@this].#(parameters.hem_score>0,5)", "0,5, which is no number", CLOUD),
    ("[@this].#(parameters.hem_score>50%)", "50%, which is no number", CLOUD),
    ("[@this].#(parameters.hem_score<50)", "lies in [0, 1], with 50", CLOUD),
    ("[@this].#(parameters.hem_score>half)", "a number, with 'half'", CLOUD),
    ('[@this].#(parameters.hem_route!="Cloud")', "'edge' or 'cloud'", CLOUD),
    ('[@this].#(parameters.hem_route>"cloud")', "orders hem_route", CLOUD),
    ("[@this].#(parameters.hem_route==)", "compares with nothing", CLOUD),
    ("[@this].#(!error)", "negates", CLOUD),
    ("[@this].#(error", "never closed", CLOUD),
]
ALWAYS = [
    (f"{EDGE}#", "whatever the query finds", EDGE),
    ("[@this]", "always holds", CLOUD),
    ("[parameters.hem_route,error]", "always holds", CLOUD),
    ('{"route":parameters.hem_route}', "always holds", CLOUD),
    ("{{ .Values.condition }}", "is a template", CLOUD),
    ("[@this].#", "whatever the query finds", CLOUD),
]
RIGHT = [
    EDGE,
    f"{EDGE}\n",
    "[@this].#(parameters.hem_route==edge)",
    "[@this].#( parameters.hem_route = edge )",
    '[@this].#(parameters.hem_route%"cl*")',
    "[@this].#(parameters.hem_score>.5)",
    "[@this].#(parameters.hem_score>=1e-1)",
    "[@this].#(parameters.note==\"a && b or 'c'\")",
    '[@this].#(error!="")',
    '[parameters].#(hem_route=="edge")',
    'instances.#(modelId=="1")',
    'outputs.#(name=="score").data.0',
    'outputs.#(name=="score")#|0.data',
    "[@this].#(inputs.#>0)",
    "predictions.0",
    "error",
    "@this",
    "*",
    "parameters.a",
]


@pytest.mark.parametrize(("path", "reason", "right"), [*NEVER, *OTHERWISE, *ALWAYS])
def test_what_never_does_what_it_says_is_an_error_with_the_right_form(
    path: str, reason: str, right: str | None
) -> None:
    (finding,) = check_condition(path, "condition")
    assert finding.severity == "error"
    assert reason in finding.message
    assert "\n" not in finding.message
    if right is not None:
        assert f"write for example {right}" in finding.message
        assert [f for f in check_condition(right, "condition") if f.severity == "error"] == []


def _holds(path: str) -> list[bool]:
    return [Condition(path).holds(body) for body in BODIES]


@pytest.mark.parametrize("path", [path for path, _, _ in NEVER if "!" not in path or '"' in path])
def test_the_router_runs_them_as_kserves_does_which_finds_nothing(path: str) -> None:
    assert _holds(path) == [False] * 4


@pytest.mark.parametrize("path", [path for path, _, _ in ALWAYS])
def test_the_router_finds_something_in_every_body(path: str) -> None:
    assert _holds(path) == [True] * 4


@pytest.mark.parametrize("path", RIGHT)
def test_what_does_what_it_says_is_no_error(path: str) -> None:
    assert [f for f in check_condition(path, "condition") if f.severity == "error"] == []
    Condition(path)


def test_the_right_forms_do_what_was_meant() -> None:
    assert _holds(OTHERWISE[0][2]) == [False, True, False, False]
    assert _holds(f"[{EDGE},{CLOUD}].0") == [True, True, False, False]
    assert _holds(f"{CLOUD}\n") == _holds(CLOUD) == [False, True, False, False]
    assert _holds("@this") == [True] * 4


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("parameters.a", "'parameters.a' holds whenever the parameter exists"),
        ("eror", "did you mean 'error'?"),
        ("[@this].#(parameter.a==1)", "did you mean 'parameters'?"),
        ("success", "a top-level key 'success', which neither V2 nor V1 bodies have"),
    ],
)
def test_what_may_do_something_else_is_a_warning(path: str, message: str) -> None:
    (finding,) = check_condition(path, "condition")
    assert finding.severity == "warning"
    assert message in finding.message


def _graph(condition: Any) -> dict[str, Any]:
    step = {"serviceUrl": "http://127.0.0.1:1/", "condition": condition}
    return {"nodes": {"root": {"routerType": "Switch", "steps": [step]}}}


@pytest.mark.parametrize("condition", ["true", "a && b", " ", "'edge'", "default", "!error"])
def test_the_local_router_refuses_them_when_it_loads(condition: str) -> None:
    with pytest.raises(ConfigurationError, match=r"root.steps\[0\].condition: .*; write for"):
        refuse_graph(_graph(condition))


@pytest.mark.parametrize("condition", [True, False, 1])
def test_a_condition_without_quotes_in_the_yaml_is_not_told_to_put_them_on(condition: Any) -> None:
    content = {"apiVersion": "serving.kserve.io/v1alpha1", "kind": "InferenceGraph"}
    content |= {"metadata": {"name": "qa"}, "spec": _graph(condition)}
    found = "\n".join(map(str, validate([content])))
    assert "write '" not in found
    assert "is a key to gjson" in found


def test_the_given_case_has_an_error_for_each_of_its_steps(shared: Path) -> None:
    path = shared / "cases/11_conditions.yaml"
    problems = validate([document.content for document in read(path)])
    wrong = [p.field[-20:] for p in problems if p.severity == "error"]
    assert wrong == [f"t.steps[{index}].condition" for index in range(3)]
    for command in (["validate", "-f"], ["router", "--graph"]):
        ended = hem(*command, str(path))
        assert ended.returncode != 0
        assert "joins two tests" in ended.stdout + ended.stderr
        assert "Traceback" not in ended.stderr
