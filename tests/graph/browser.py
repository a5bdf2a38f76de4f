"""A real Chromium without a window, asked by its own protocol (CDP): loads a page, presses keys, takes a picture."""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from websockets.sync.client import ClientConnection, connect

CHROMIUM = "chromium-headless-shell"
START, ANSWER = 60, 30
_OPTIONS = (
    "--no-sandbox",  # tests run as root in containers, where it cannot be
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--remote-debugging-port=0",
    "--remote-debugging-address=127.0.0.1",
)
KEYS = {
    "Enter": 13, "Escape": 27, "Tab": 9, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40,
}  # fmt: skip


class Page:
    """One tab. ``requests`` and ``faults`` are what it asked the network for, and what its console said."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._numbers = itertools.count(1)
        self.requests: list[str] = []
        self.faults: list[str] = []
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **parameters: object) -> dict[str, Any]:
        number = next(self._numbers)
        self._connection.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            told = json.loads(self._connection.recv(timeout=ANSWER))
            if told.get("id") == number:
                assert "error" not in told, told
                return dict(told["result"])
            self._note(told)

    def _note(self, told: dict[str, Any]) -> None:
        said = told.get("params", {})
        match told.get("method"):
            case "Network.requestWillBeSent":
                self.requests.append(said["request"]["url"])
            case "Runtime.exceptionThrown":
                self.faults.append(str(said["exceptionDetails"]))
            case "Runtime.consoleAPICalled" if said["type"] in ("error", "warning", "assert"):
                self.faults.append(str(said["args"]))
            case "Log.entryAdded" if said["entry"]["level"] in ("error", "warning"):
                self.faults.append(str(said["entry"]))

    def open(self, path: Path, width: int = 1440, height: int = 860, *, dark: bool = False) -> None:
        """Load it, and wait until its script says that it is done."""
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        still = {"name": "prefers-reduced-motion", "value": "reduce"}
        self.ask("Emulation.setEmulatedMedia", features=[scheme, still])
        self.requests.clear()
        self.faults.clear()
        self.ask("Page.navigate", url=path.as_uri())
        self.wait("document.documentElement?.dataset.ready === 'yes' && document.readyState === 'complete'")

    def value(self, expression: str) -> Any:
        """What a piece of script comes to. The page's policy does not hold for whoever debugs it."""
        told = self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in told, told
        return told["result"].get("value")

    def wait(self, expression: str) -> None:
        end = time.monotonic() + ANSWER
        while not self.value(f"Boolean({expression})"):
            assert time.monotonic() < end, expression
            time.sleep(0.02)

    def press(self, *keys: str) -> None:
        for key in keys:
            code = KEYS.get(key, 0)
            text = {} if code and key != "Enter" else {"text": "\r" if key == "Enter" else key}
            told: dict[str, object] = {"key": key, "windowsVirtualKeyCode": code, **text}
            self.ask("Input.dispatchKeyEvent", type="keyDown", **told)
            self.ask("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)

    def click(self, selector: str) -> None:
        """With the mouse, in the middle of the element."""
        x, y = self.value(
            f"(r => [r.x + r.width / 2, r.y + r.height / 2])(document.querySelector({json.dumps(selector)}).getBoundingClientRect())"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def picture(self) -> bytes:
        """A PNG of what is seen."""
        return base64.b64decode(self.ask("Page.captureScreenshot", format="png")["data"])


@contextlib.contextmanager
def browser(folder: Path) -> Iterator[Page]:
    """Start one, with its profile below ``folder``, and end it."""
    profile = folder / "chromium"
    with (folder / "chromium.log").open("wb") as log:
        process = subprocess.Popen(
            [CHROMIUM, *_OPTIONS, f"--user-data-dir={profile}", "about:blank"],
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            address = _address(process, profile / "DevToolsActivePort", folder / "chromium.log")
            with connect(address, max_size=None, compression=None) as connection:
                yield Page(connection)
        finally:
            # Debian's command is a shell that waits for the browser, which would outlive it.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(START)


def _address(process: subprocess.Popen[bytes], file: Path, log: Path) -> str:
    end = time.monotonic() + START
    while True:
        assert process.poll() is None, log.read_text("utf-8", "replace")
        assert time.monotonic() < end, "Chromium does not say where it listens"
        lines = file.read_text().splitlines() if file.exists() else []
        if len(lines) == 2:
            with urlopen(f"http://127.0.0.1:{lines[0]}/json/list", timeout=ANSWER) as answer:
                return str(json.load(answer)[0]["webSocketDebuggerUrl"])
        time.sleep(0.02)
