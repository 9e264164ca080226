"""The page's files: whole, of this server alone, and taken for nothing else."""

import re

import pytest

from tests.transformers_hem.gateway.gateway_under_test import gateway
from transformers_hem.gateway.page.files import STATIC

NAMES = sorted(path.name for path in STATIC.iterdir())


async def test_its_address_leads_to_where_its_links_begin() -> None:
    async with gateway(page=True) as client:
        answer = await client.get("/ui")
        assert answer.status_code == 307 and answer.headers["location"] == "ui/"
        page = await client.get("/ui", follow_redirects=True)
        assert page.headers["content-type"].startswith("text/html")
        assert page.text == (await client.get("/ui/index.html")).text


@pytest.mark.parametrize("name", ["", *NAMES, "state.json", "threshold.json", "no-such-file"])
async def test_every_answer_keeps_the_browser_to_this_server(name: str) -> None:
    async with gateway(page=True) as client:
        headers = (await client.get(f"/ui/{name}")).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy and "http" not in policy and "*" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"


async def test_a_file_that_has_not_changed_is_not_sent_again() -> None:
    async with gateway(page=True) as client:
        first = await client.get("/ui/main.js")
        again = await client.get("/ui/main.js", headers={"if-none-match": first.headers["etag"]})
        assert again.status_code == 304 and again.content == b""


@pytest.mark.parametrize(
    "name", ["../routes.py", "..%2froutes.py", "%2e%2e/files.py", "/etc/passwd"]
)
async def test_nothing_else_of_the_machine_is_sent(name: str) -> None:
    async with gateway(page=True) as client:
        assert (await client.get(f"/ui/{name}")).status_code == 404


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_loaded_from_elsewhere_and_no_text_becomes_html(name: str) -> None:
    text = (STATIC / name).read_text()
    for url in re.findall(r"https?://[^\s\"'<>)]+", text):
        assert url == "http://www.w3.org/2000/svg"  # a namespace
    assert not re.search(
        r"innerHTML\s*=[^=]|outerHTML\s*=|insertAdjacentHTML|document\.write|eval\(", text
    )
    assert not re.search(r"\son\w+=|style=\"|<style|<script(?! type=\"module\" src=)", text)


def test_each_module_that_is_imported_is_there() -> None:
    for path in STATIC.glob("*.js"):
        for name in re.findall(r'from "\./([^"]+)"', path.read_text()):
            assert name in NAMES
