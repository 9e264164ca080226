"""One tab of a headless browser, driven by its own protocol as a person would.

Chrome DevTools Protocol: https://chromedevtools.github.io/devtools-protocol/
"""

import asyncio
import base64
import contextlib
import itertools
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import aiohttp

from tests.browser import OPTIONS, browser

KEYS: Final = {
    "Enter": (13, "\r"),
    "Tab": (9, ""),
    "Escape": (27, ""),
    "End": (35, ""),
    "Home": (36, ""),
    "ArrowLeft": (37, ""),
    "ArrowRight": (39, ""),
}
SECONDS: Final = 30.0


class Tab:
    """`faults` are exceptions, errors of the console, and what a policy or the network refused."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self.faults: list[str] = []

    async def read(self) -> None:
        async for message in self._socket:
            said = json.loads(message.data)
            if (waiting := self._waiting.pop(said.get("id", 0), None)) is not None:
                waiting.set_result(said)
            elif fault := _fault(said.get("method", ""), said.get("params", {})):
                self.faults.append(fault)

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        waiting = self._waiting[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        said = await asyncio.wait_for(waiting, SECONDS)
        assert "error" not in said, f"{method}: {said['error']}"
        return dict(said["result"])

    async def open(self, url: str) -> None:
        await self.call("Page.navigate", url=url)
        await self.until(
            f"location.href.startsWith({json.dumps(url)}) && document.readyState=='complete'"
        )

    async def run(self, script: str) -> Any:
        """What the JavaScript expression gives; of a promise what it becomes."""
        said = await self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in said, f"{script}: {said['exceptionDetails']}"
        return said["result"].get("value")

    async def until(self, script: str, seconds: float = SECONDS) -> None:
        """Once the expression is true."""
        try:
            async with asyncio.timeout(seconds):
                while not await self.run(f"Boolean({script})"):
                    await asyncio.sleep(0.02)
        except TimeoutError:
            text = await self.run("document.body.innerText")
            raise AssertionError(
                f"never: {script}; faults {self.faults}; the page:\n{text}"
            ) from None

    async def press(self, key: str, times: int = 1, shift: bool = False) -> None:
        code, text = KEYS[key]
        about = {"key": key, "code": key, "windowsVirtualKeyCode": code, "modifiers": 8 * shift}
        for _ in range(times):
            down = "keyDown" if text else "rawKeyDown"
            await self.call("Input.dispatchKeyEvent", type=down, text=text, **about)
            await self.call("Input.dispatchKeyEvent", type="keyUp", **about)

    async def write(self, text: str) -> None:
        """Where the focus is."""
        await self.call("Input.insertText", text=text)

    async def looks(self, width: int, height: int = 900, *, dark: bool = False) -> None:
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            **{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
        )
        colours = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.call("Emulation.setEmulatedMedia", features=[colours])

    async def picture(self, path: Path, *, whole: bool = False) -> None:
        said = await self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(said["data"]))


@contextlib.asynccontextmanager
async def tab(profile: Path) -> AsyncIterator[Tab]:
    """Of a browser of its own, whose files are in `profile`. Skips the test where there is none."""
    command = [browser(), *OPTIONS, "--remote-debugging-port=0", f"--user-data-dir={profile}"]
    nowhere = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(*command, stdout=nowhere, stderr=nowhere)
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(await _address(session, profile), max_msg_size=0) as socket,
        ):
            driven = Tab(socket)
            reading = asyncio.create_task(driven.read())
            for domain in ("Page", "Runtime", "Log"):
                await driven.call(f"{domain}.enable")
            yield driven
            reading.cancel()
    finally:
        process.terminate()
        await process.wait()


async def _address(session: aiohttp.ClientSession, profile: Path) -> str:
    """Of the first tab, once the browser is there."""
    async with asyncio.timeout(SECONDS):
        while True:
            with contextlib.suppress(OSError, IndexError, aiohttp.ClientError):
                port = (profile / "DevToolsActivePort").read_text().split()[0]
                async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
                    pages = [each for each in await answer.json() if each["type"] == "page"]
                    return str(pages[0]["webSocketDebuggerUrl"])
            await asyncio.sleep(0.05)


def _fault(method: str, said: dict[str, Any]) -> str | None:
    if method == "Runtime.exceptionThrown":
        details = said["exceptionDetails"]
        return str(details.get("exception", {}).get("description") or details["text"])
    if method == "Runtime.consoleAPICalled" and said["type"] in ("error", "assert", "warning"):
        return " ".join(str(each.get("value", each.get("description"))) for each in said["args"])
    if method == "Log.entryAdded" and said["entry"]["level"] in ("error", "warning"):
        return f"{said['entry']['text']} {said['entry'].get('url', '')}"
    return None
