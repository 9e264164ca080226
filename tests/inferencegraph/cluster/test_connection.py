"""No cluster, the wrong one, or one that doesn't let us in: one message each, with the way out."""

import asyncio
import json
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
import yaml
from aiohttp import web

from tests.conftest import free_port
from tests.inferencegraph.cluster.api_server import TOKEN, ApiServer, Fault
from tests.inferencegraph.cluster.conftest import Hem, kubeconfig_of
from tests.inferencegraph.cluster.controller import reconcile

Capture = pytest.CaptureFixture[str]


def test_no_kubeconfig(
    hem: Hem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "absent"))
    assert hem("status") == 2
    said = capsys.readouterr().err
    assert said == (
        f"hem: error: no kubeconfig: {tmp_path / 'absent'} is not there; name it with --kubeconfig "
        "FILE or KUBECONFIG, or log in to the cluster\n"
    )


def test_an_unknown_context_is_told_with_the_known_ones(hem: Hem, capsys: Capture) -> None:
    assert hem("status", "--context", "hree") == 2
    said = capsys.readouterr().err
    assert "unknown context 'hree'; known: here; did you mean 'here'?" in said


def test_several_kubeconfigs_are_one(
    hem: Hem, kubeconfig: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    second = tmp_path / "second"
    other = kubeconfig_of("http://127.0.0.1:1")
    for kind in ("clusters", "contexts"):
        other[kind][0]["name"] = "there"
    second.write_text(yaml.safe_dump({**other, "current-context": "there"}))
    monkeypatch.setenv("KUBECONFIG", f"{kubeconfig}:{second}")
    assert hem("status", "--context", "elsewhere") == 2
    assert "known: here, there" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["{", "- a", "clusters: 3", ""], ids=repr)
def test_a_kubeconfig_that_is_none(text: str, hem: Hem, kubeconfig: Path, capsys: Capture) -> None:
    kubeconfig.write_text(text)
    assert hem("status") == 2
    said = capsys.readouterr().err
    assert said.startswith(f"hem: error: kubeconfig {kubeconfig}")
    assert len(said.splitlines()) == 1


def test_nobody_answers(hem: Hem, kubeconfig: Path, capsys: Capture) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    kubeconfig.write_text(yaml.safe_dump(kubeconfig_of(url)))
    assert hem("status") == 2
    said = capsys.readouterr().err
    assert said.startswith(f"hem: error: {url}: nobody answers there")
    assert "is the cluster up, and is that the right --context?" in said


def test_a_server_of_an_unknown_name(hem: Hem, kubeconfig: Path, capsys: Capture) -> None:
    kubeconfig.write_text(yaml.safe_dump(kubeconfig_of("http://cluster.invalid:6443")))
    assert hem("status") == 2
    assert "its name is not known here" in capsys.readouterr().err


def test_credentials_that_are_refused(
    server: ApiServer, hem: Hem, kubeconfig: Path, capsys: Capture
) -> None:
    kubeconfig.write_text(yaml.safe_dump(kubeconfig_of(server.url, token="old")))
    assert hem("status") == 2
    said = capsys.readouterr().err
    assert f"{server.url} refuses the kubeconfig's credentials (401: Unauthorized)" in said


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
def test_a_login_plugin_gives_the_token(
    version: str, server: ApiServer, hem: Hem, kubeconfig: Path, capsys: Capture
) -> None:
    group = "client.authentication.k8s.io"
    credential = {
        "apiVersion": f"{group}/{version}",
        "kind": "ExecCredential",
        "status": {"token": TOKEN},
    }
    settings = kubeconfig_of(server.url)
    plugin = {"apiVersion": f"{group}/{version}", "interactiveMode": "Never", "command": "echo"}
    settings["users"][0]["user"] = {"exec": {**plugin, "args": [json.dumps(credential)]}}
    kubeconfig.write_text(yaml.safe_dump(settings))
    assert hem("status") == 2
    assert "no InferenceService or InferenceGraph" in capsys.readouterr().err


@pytest.fixture
def encrypted() -> Iterator[tuple[ApiServer, trustme.CA]]:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    running = ApiServer()
    running.start(context)
    yield running, authority
    running.stop()


@pytest.mark.parametrize("right", [True, False])
def test_https_with_the_right_authority_alone(
    right: bool,
    encrypted: tuple[ApiServer, trustme.CA],
    hem: Hem,
    kubeconfig: Path,
    tmp_path: Path,
    capsys: Capture,
) -> None:
    server, authority = encrypted
    file = tmp_path / "ca.pem"
    (authority if right else trustme.CA()).cert_pem.write_to_path(file)
    url = f"https://127.0.0.1:{server.port}"
    settings = kubeconfig_of(url, **{"certificate-authority": str(file)})
    kubeconfig.write_text(yaml.safe_dump(settings))
    assert hem("status") == 2
    said = capsys.readouterr().err
    assert ("no InferenceService or InferenceGraph" in said) == right
    assert (f"{url}: TLS fails: " in said) != right


async def test_a_server_that_is_no_kubernetes(hem: Hem, kubeconfig: Path, capsys: Capture) -> None:
    async def page(request: web.Request) -> web.Response:
        return web.Response(text="<html>Welcome</html>", content_type="text/html")

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", page)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    kubeconfig.write_text(yaml.safe_dump(kubeconfig_of(url)))
    assert await asyncio.to_thread(hem, "status") == 2
    assert "is not Kubernetes' JSON" in capsys.readouterr().err
    await runner.cleanup()


def test_the_contexts_namespace_is_the_default(
    server: ApiServer, hem: Hem, kubeconfig: Path, capsys: Capture
) -> None:
    settings = kubeconfig_of(server.url)
    settings["contexts"][0]["context"]["namespace"] = "shops"
    kubeconfig.write_text(yaml.safe_dump(settings))
    assert hem("status") == 2
    assert "in namespace 'shops'" in capsys.readouterr().err


def test_a_connection_that_breaks_in_every_answer_ends_the_command(
    server: ApiServer, hem: Hem, spec: Path, capsys: Capture
) -> None:
    hem("apply", "-f", spec)
    reconcile(server)
    server.faults.append(Fault(lambda each: "pods" in each.path, None, times=99))
    assert hem("status") == 2
    assert "the connection broke, several times, at list pods" in capsys.readouterr().err
