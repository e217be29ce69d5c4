"""A real Chromium, without a window, spoken to over the DevTools protocol.

Source: https://chromedevtools.github.io/devtools-protocol/
"""

import asyncio
import base64
import contextlib
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_ANSWER_S = 30.0


def find_chromium() -> str:
    """Return Chromium's path; skip, or fail in CI, where there is none."""
    for name in (os.environ.get("CHROMIUM", ""), *_NAMES):
        if name and (path := shutil.which(name)):
            return path
    message = "there is no Chromium: install it (apt-get install chromium), or set CHROMIUM"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


class Tab:
    """One page. What it complains of is kept: messages of the console, violations of its policy, exceptions.

    Args:
        socket: Its connection.
    """

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.complaints: list[str] = []
        self._socket = socket
        self._number = 0
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._loaded = asyncio.Event()

    async def call(self, method: str, **parameters: object) -> dict[str, Any]:
        """Call a method of the protocol.

        Raises:
            AssertionError: It is refused.
        """
        self._number += 1
        answer = self._answers[self._number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": self._number, "method": method, "params": parameters})
        async with asyncio.timeout(_ANSWER_S):
            result = await answer
        assert "error" not in result, f"{method}: {result['error']}"
        outcome: dict[str, Any] = result["result"]
        return outcome

    async def open(self, url: str) -> None:
        """Load a page, and wait for its load event."""
        self._loaded.clear()
        answer = await self.call("Page.navigate", url=url)
        assert "errorText" not in answer, answer
        async with asyncio.timeout(_ANSWER_S):
            await self._loaded.wait()

    async def run(self, expression: str) -> Any:
        """Evaluate JavaScript and return its value, awaited where it is a promise."""
        answer = await self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    async def until(self, expression: str, within_s: float = 20.0) -> None:
        """Wait until an expression is true."""
        deadline = asyncio.get_running_loop().time() + within_s
        while not await self.run(expression):
            assert asyncio.get_running_loop().time() < deadline, f"never true: {expression}"
            await asyncio.sleep(0.05)

    async def press(self, key: str, code: int) -> None:
        """Press and release a key."""
        for kind in ("rawKeyDown", "keyUp"):
            await self.call(
                "Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code
            )

    async def prefer(self, **features: str) -> None:
        """Set what the user prefers, such as `prefers_color_scheme`."""
        listed = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        await self.call("Emulation.setEmulatedMedia", features=listed)

    async def screenshot(self, path: Path) -> bytes:
        """Write a picture of the whole page, as PNG; return its bytes."""
        answer = await self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        picture = base64.b64decode(answer["data"])
        await asyncio.to_thread(path.write_bytes, picture)
        return picture

    async def listen(self) -> None:
        """Take in what the browser says, until the connection ends."""
        async for message in self._socket:
            said = message.json()
            if "id" in said:
                self._answers.pop(said["id"]).set_result(said)
            else:
                self._note(said["method"], said["params"])

    def _note(self, method: str, said: dict[str, Any]) -> None:
        match method:
            case "Page.loadEventFired":
                self._loaded.set()
            case "Runtime.exceptionThrown":
                self.complaints.append(str(said["exceptionDetails"]))
            case "Runtime.consoleAPICalled" if said["type"] in {"error", "warning", "assert"}:
                self.complaints.append(str(said["args"]))
            case "Log.entryAdded" if said["entry"]["level"] in {"error", "warning"}:
                self.complaints.append(f"{said['entry']['text']} {said['entry'].get('url', '')}")
            case "Audits.issueAdded" if "contentSecurityPolicyIssueDetails" in said["issue"]["details"]:
                self.complaints.append(str(said["issue"]["details"]))


@contextlib.asynccontextmanager
async def chromium_tab(profile: Path, width: int = 1440, height: int = 1000) -> AsyncIterator[Tab]:
    """Run Chromium with an empty profile until the block ends, and give its one tab.

    Args:
        profile: An empty folder.
        width: The window's, in CSS pixels.
        height: Likewise.
    """
    log = profile / "chromium.log"
    command = [
        find_chromium(),
        "--headless=new",
        "--remote-debugging-port=0",
        f"--user-data-dir={profile}",
        f"--window-size={width},{height}",
        "--no-first-run",
        "--no-sandbox",  # CI's user is root, for whom there is none; only our own page is opened
        "--disable-gpu",
        "--hide-scrollbars",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-extensions",
        "about:blank",
    ]
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(*command, stdout=output, stderr=output)
    try:
        port = await _debugging_port(profile, process, log)
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
                pages = [each for each in await answer.json() if each["type"] == "page"]
            async with session.ws_connect(pages[0]["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                tab = Tab(socket)
                listening = asyncio.create_task(tab.listen())
                for domain in ("Page", "Runtime", "Log", "Audits", "Accessibility"):
                    await tab.call(f"{domain}.enable")
                await tab.call(
                    "Emulation.setDeviceMetricsOverride",
                    width=width, height=height, deviceScaleFactor=1, mobile=False,
                )  # fmt: skip
                yield tab
                with contextlib.suppress(AssertionError, TimeoutError, ConnectionError):
                    await tab.call("Browser.close")
            await listening
    finally:
        try:
            async with asyncio.timeout(10):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


async def _debugging_port(profile: Path, process: asyncio.subprocess.Process, log: Path) -> int:
    announced = profile / "DevToolsActivePort"
    for _ in range(600):
        if process.returncode is not None:
            break
        if announced.is_file() and (lines := announced.read_text().split()):
            return int(lines[0])
        await asyncio.sleep(0.05)
    said = await asyncio.to_thread(log.read_text, errors="replace")
    return pytest.fail(f"Chromium didn't start:\n{said[-3000:]}")
