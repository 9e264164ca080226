"""What somebody says of an answer in `hem chat`, by a gateway that keeps feedback, and one that
doesn't."""

import json
from collections.abc import Iterator
from typing import ClassVar

import pytest
from typer.testing import CliRunner

from inferencegraph.cli import app
from inferencegraph.commands.rating import read_rating, send_rating
from predictors.errors import InvalidRequest
from tests.conftest import StartServer
from tests.loopback import Handler, LoopbackServer
from tests.scripted_api import ScriptedAPI


@pytest.fixture(scope="module")
def api() -> Iterator[ScriptedAPI]:
    with ScriptedAPI(("4", "2")) as api:
        yield api


@pytest.fixture(scope="module")
def url(
    api: ScriptedAPI, start_server: StartServer, tmp_path_factory: pytest.TempPathFactory
) -> str:
    store = tmp_path_factory.mktemp("store") / "feedback.db"
    return gateway(api, start_server, {"HEM_FEEDBACK_STORE": str(store)})


def gateway(api: ScriptedAPI, start_server: StartServer, more: dict[str, str]) -> str:
    settings = {
        "HEM_ALGORITHM": "EdgeOnly",
        "HEM_EDGE_URL": api.url,
        "HEM_CLOUD_URL": api.url,
        "HEM_EDGE_MODEL": "small",
        "HEM_CLOUD_MODEL": "large",
        "HEM_HOST": "127.0.0.1",
        **more,
    }
    ready = "/v2/models/qa-hem/ready"
    return start_server("transformers_hem", "--model_name", "qa-hem", env=settings, ready=ready).url


def run(*words: str, said: str = "") -> str:
    done = CliRunner().invoke(app, [*words], input=said, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_the_last_answer_is_rated_by_its_id(url: str) -> None:
    lines = ["/up", "6 * 7?", "/up", "/down", "/right 43", "/right 42", "/right", "/up 3"]
    shown = run("chat", "--url", f"{url}/v1", said="\n".join(lines)).splitlines()
    identity = next(line for line in shown if " · id " in line).rpartition(" id ")[2]
    assert shown.count("42") == 1, "a rating is no question"
    kept = [line.strip() for line in shown if line.startswith("  kept")]
    assert kept == ["kept", *["kept, in place of what you said before"] * 3]
    faults = [line for line in shown if line.startswith("hem: error: ")]
    assert [fault.partition("error: ")[2] for fault in faults] == [
        "there is no whole answer yet to say that of",
        "/right needs the right answer behind it: /right 432",
        "/up stands alone; /right ANSWER gives the right answer",
    ]
    exported = [json.loads(line) for line in run("feedback", "export", "--url", url).splitlines()]
    (row,) = exported
    assert (row["request_id"], row["edge_score"]) == (identity, 1.0), "that was the right answer"


def test_no_other_answer_is_rated_than_the_last_one(
    url: str, api: ScriptedAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    def typed() -> Iterator[str]:
        yield "6 * 7?"
        api.refuses = 400
        yield "a question that ends in an error"
        api.refuses = None
        yield "/down"
        yield "7 * 6?"
        yield "/new"
        yield "/up"

    lines = typed()
    monkeypatch.setattr("builtins.input", lambda prompt: next(lines, "/quit"))
    shown = run("chat", "--url", f"{url}/v1").splitlines()
    assert shown.count("42") == 2, "both whole answers could have been rated"
    assert sum("there is no whole answer yet to say that of" in line for line in shown) == 2
    assert not [line for line in shown if line.startswith("  kept")]


def test_ratings_are_told_of_where_feedback_is_kept(
    url: str, api: ScriptedAPI, start_server: StartServer
) -> None:
    assert "/up or /down rates" in run("chat", "--url", f"{url}/v1", said="/help\n")
    for other in (f"{gateway(api, start_server, {})}/v1", api.url):
        shown = run("chat", "--url", other, said="/help\n")
        assert "/new begins" in shown and "/up" not in shown


def test_the_answer_of_another_server_has_no_id(api: ScriptedAPI) -> None:
    assert " · id " not in run("chat", "--url", api.url, said="6 * 7?\n")


class OtherServer(Handler):
    """It has never heard of feedback, and says so, or something else."""

    said: ClassVar[tuple[int, object]]

    def do_POST(self) -> None:
        self.read()
        self.say(*self.said)


@pytest.mark.parametrize("said", [(404, {"detail": "Not Found"}), (405, {}), (200, {"ok": True})])
async def test_a_server_that_keeps_no_feedback_is_told(said: tuple[int, object]) -> None:
    handler = type("Handler", (OtherServer,), {"said": said})
    with (
        LoopbackServer(handler) as server,
        pytest.raises(InvalidRequest, match="this server keeps no feedback: HEM_FEEDBACK_STORE"),
    ):
        await send_rating(f"{server.origin}/v1", "", "r1", {"thumbs": "up"})


@pytest.mark.parametrize("line", ["/uptime?", "up", "/rights of man", "What is /up?"])
def test_other_lines_are_questions(line: str) -> None:
    assert read_rating(line, "") is None


def test_words_of_an_answer_are_kept_as_they_are() -> None:
    assert read_rating("/right  in  two words ", "one") == {"answer": "in  two words"}
    with pytest.raises(InvalidRequest, match="needs the right answer"):
        read_rating("/right  ", "one")


def test_the_help_names_the_commands() -> None:
    shown = run("chat", "--help")
    assert "/up" in shown and "/down" in shown and "/right ANSWER" in shown
