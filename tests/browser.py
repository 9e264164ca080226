"""A headless browser, where there is one: what a page is once it is laid out."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage")


def browser() -> str:
    """Skips the test where no browser is installed."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("no Chromium: apt-get install chromium")
    return found


def measured(page: Path, width: int, script: str, tmp_path: Path) -> Any:
    """What the JavaScript expression `script` gives on the page at that width, in CSS pixels; and
    that the page logs no error."""
    probe = tmp_path / f"probe-{width}.html"
    frame = (
        f'<iframe id="f" src="{page.as_uri()}" style="width:{width}px;height:900px;border:0">'
        "</iframe><pre id=out></pre><script>document.getElementById('f').onload = function () {"
        "var window_ = this.contentWindow, document_ = this.contentDocument;"
        "document.getElementById('out').textContent = JSON.stringify("
        f"(function (window, document) {{ return {script}; }})(window_, document_)); }}</script>"
    )
    probe.write_text(frame)
    command = [browser(), *OPTIONS, "--allow-file-access-from-files", "--window-size=1400,1000"]
    command += ["--enable-logging=stderr", "--virtual-time-budget=5000", "--dump-dom"]
    ended = subprocess.run([*command, probe.as_uri()], capture_output=True, text=True, timeout=120)
    assert "CONSOLE" not in ended.stderr, ended.stderr
    text = ended.stdout.partition('<pre id="out">')[2].partition("</pre>")[0]
    return json.loads(text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))


def printed(page: Path, tmp_path: Path) -> bytes:
    """The page as PDF."""
    out = tmp_path / "page.pdf"
    command = [browser(), *OPTIONS, f"--print-to-pdf={out}", page.as_uri()]
    subprocess.run(command, capture_output=True, timeout=120, check=True)
    return out.read_bytes()
