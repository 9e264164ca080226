"""Where the page is: on this machine alone, unless somebody says otherwise."""

import argparse

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from transformers_hem.gateway.build import build_gateway
from transformers_hem.reload.reloading import Reloading
from transformers_hem.serving.query_stage import MiningThenInference
from transformers_hem.serving.settings import HEMSettings

SIDES = {"edge_url": "http://127.0.0.1:9", "cloud_url": "http://127.0.0.1:9"}


@pytest.mark.parametrize(
    ("host", "ui", "on"),
    [
        ("127.0.0.1", "auto", True),
        ("::1", "auto", True),
        ("localhost", "auto", True),
        ("", "auto", True),
        ("*", "auto", False),
        ("0.0.0.0", "auto", False),
        ("0.0.0.0", "on", True),
        ("127.0.0.1", "off", False),
    ],
)
def test_the_page_is_there_where_only_this_machine_can_reach_it(
    host: str, ui: str, on: bool
) -> None:
    settings = HEMSettings.model_validate({**SIDES, "host": host, "ui": ui})
    current = Reloading(settings).current
    options = argparse.Namespace(model_name="qa-hem", predictor_host=None)
    miner = MiningThenInference("qa-hem", current.now.decider)
    gateway = build_gateway(settings, options, miner, current)
    assert gateway is not None
    app = FastAPI()
    gateway.add_to(app)
    assert TestClient(app).get("/ui/").status_code == (200 if on else 404)
