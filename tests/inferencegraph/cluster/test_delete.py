"""`hem delete` against a Kubernetes API on a socket."""

from pathlib import Path

import pytest

from tests.inferencegraph.cluster.api_refusals import forbidden
from tests.inferencegraph.cluster.api_server import ApiServer, Fault
from tests.inferencegraph.cluster.api_store import Request
from tests.inferencegraph.cluster.conftest import Hem, printed, written

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def applied(server: ApiServer, hem: Hem, spec: Path) -> ApiServer:
    hem("apply", "-f", spec)
    server.requests.clear()
    return server


@pytest.mark.parametrize("by", ["name", "file"])
def test_all_with_the_owners_label_goes_graphs_first(
    by: str, applied: ApiServer, hem: Hem, spec: Path, capsys: Capture
) -> None:
    capsys.readouterr()
    assert hem("delete", *(["shop"] if by == "name" else ["-f", spec])) == 0
    said = capsys.readouterr().out.splitlines()
    assert [line.split("/")[0] for line in said] == ["InferenceGraph"] * 2 + [
        "InferenceService"
    ] * 7
    assert not applied.objects("InferenceService")
    assert not applied.objects("InferenceGraph")
    assert applied.objects("Secret")  # somebody else's


def test_it_names_the_very_object_that_was_listed(applied: ApiServer, hem: Hem) -> None:
    objects = applied.objects("InferenceService") | applied.objects("InferenceGraph")
    assert hem("delete", "shop") == 0
    for request in applied.sent("DELETE"):
        uid = objects[request.path.rpartition("/")[2]]["metadata"]["uid"]
        assert request.body["preconditions"] == {"uid": uid}
        assert request.body["propagationPolicy"] == "Background"


def test_a_dry_run_lists_and_deletes_nothing(applied: ApiServer, hem: Hem, capsys: Capture) -> None:
    capsys.readouterr()
    assert hem("delete", "shop", "--dry-run", "--json") == 0
    assert len(printed(capsys)["deleted"]) == 9
    assert not applied.sent("DELETE")


def test_an_unknown_owner_is_told_with_the_known_ones(
    applied: ApiServer, hem: Hem, capsys: Capture
) -> None:
    assert hem("delete", "shpo") == 2
    said = capsys.readouterr().err
    assert "kserve-hem.io/owner=shpo; known: shop; did you mean 'shop'?" in said


def test_of_files_twice_is_no_error(
    applied: ApiServer, hem: Hem, spec: Path, capsys: Capture
) -> None:
    hem("delete", "-f", spec)
    assert hem("delete", "-f", spec) == 0
    assert capsys.readouterr().out.endswith("nothing to delete\n")


def test_either_a_name_or_files(hem: Hem, spec: Path, capsys: Capture) -> None:
    assert hem("delete") == 2
    assert hem("delete", "shop", "-f", spec) == 2
    assert capsys.readouterr().err.count("give one of NAME and -f PATH") == 2


def test_wait_waits_for_what_was_made_of_it_and_says_what_holds_it(
    applied: ApiServer, hem: Hem, capsys: Capture
) -> None:
    applied.finalized.add("InferenceGraph")
    assert hem("delete", "shop", "--wait", "--timeout", "0.1") == 1
    said = capsys.readouterr().err
    assert "still there after 0.1 s: InferenceGraph/shop-till-1 in default" in said
    assert "held by its finalizers a/finalizer" in said
    assert {each.body["propagationPolicy"] for each in applied.sent("DELETE")} == {"Foreground"}


def test_a_failure_half_way_says_what_is_still_there(
    applied: ApiServer, hem: Hem, capsys: Capture
) -> None:
    def services(request: Request) -> bool:
        return request.method == "DELETE" and "inferenceservices" in request.path

    answer = forbidden("delete", "inferenceservices", "serving.kserve.io", "default")
    applied.faults.append(Fault(services, answer, times=99))
    assert hem("delete", "shop") == 2
    said = capsys.readouterr().err
    assert "no permission to delete inferenceservices.serving.kserve.io" in said
    assert "still there: InferenceService/shop-till-2-uplink in default" in said
    assert not applied.objects("InferenceGraph")


def test_an_object_that_was_made_anew_in_between_is_not_deleted(
    applied: ApiServer, hem: Hem, capsys: Capture
) -> None:
    def anew(request: Request) -> bool:
        """While the first deletion is on its way."""
        if request.method == "DELETE" and request.path.endswith("shop-till-2-hem"):
            applied.update(
                "InferenceService",
                "shop-till-2-hem",
                lambda each: each["metadata"].update(uid="another"),
            )
        return False

    applied.faults.append(Fault(anew, None))
    assert hem("delete", "shop") == 2
    said = capsys.readouterr().err
    assert "the UID in the precondition is not the object's" in said
    assert "Mend the cause and run the same command again" in said
    assert "shop-till-2-hem" in applied.objects("InferenceService")
    assert hem("delete", "shop") == 0
    assert not applied.objects("InferenceService")


def test_a_deletion_whose_answer_was_lost_is_asked_for_again(applied: ApiServer, hem: Hem) -> None:
    applied.faults.append(Fault(lambda each: each.method == "DELETE", None, times=2))
    assert hem("delete", "shop") == 0
    assert not applied.objects("InferenceService")


def test_of_plain_files_whose_owner_is_not_known(hem: Hem, tmp_path: Path, capsys: Capture) -> None:
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}}
    assert hem("delete", "-f", written(tmp_path / "a.yaml", config)) == 2
    assert "can't tell whose ConfigMap 'x' is" in capsys.readouterr().err
