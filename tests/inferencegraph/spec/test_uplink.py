"""`uplink` of a spec: how many calls a node has at the cloud."""

from typing import Any

import pytest

from tests.inferencegraph.spec.documents import Object, errors_of, read, service, spec, variables

API: Object = {"model": {"name": "gpt", "url": "https://api.example.com/v1"}}


def _variables(document: Object, name: str) -> dict[str, Any]:
    found = read(document)
    assert errors_of(found) == []
    (container,) = service(found, name)["containers"]
    return variables(container)


@pytest.mark.parametrize("cloud", [{}, API], ids=["model", "api"])
def test_its_places_are_those_of_every_nodes_uplink(cloud: Object) -> None:
    places = {"maxConcurrency": 2, "maxQueue": 0}
    document = spec(edge={"nodes": ["a", "b"]}, cloud=cloud, uplink=places)
    for node in ("a", "b"):
        found = _variables(document, f"shop-{node}-uplink")
        assert found["PREDICTOR_MAX_CONCURRENCY"] == "2"
        assert found["PREDICTOR_MAX_QUEUE"] == "0"


def test_an_api_alone_has_them_and_its_time_limits_too() -> None:
    document = spec(cloud=API, uplink={"maxConcurrency": 3}, timeouts={"cloud": 7})
    del document["spec"]["edgeWorker"]
    found = _variables(document, "shop-cloud")
    assert found["PREDICTOR_MAX_CONCURRENCY"] == "3"
    assert found["PREDICTOR_TIMEOUT"] == "7"


def test_without_them_the_predictors_own_defaults_hold() -> None:
    found = _variables(spec(), "shop-uplink")
    assert not found.keys() & {"PREDICTOR_MAX_CONCURRENCY", "PREDICTOR_MAX_QUEUE"}
