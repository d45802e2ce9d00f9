"""A headless Chromium, spoken to through its DevTools pipe."""

import base64
import json
import os
import select
import shutil
import subprocess
import time
from dataclasses import dataclass, field

import pytest

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--remote-debugging-pipe", "--force-color-profile=srgb",
)  # fmt: skip
SECONDS = 60
OVERFLOWING = """[...document.querySelectorAll('*')]
  .filter(e => e.getBoundingClientRect().right > innerWidth + 0.5 && !e.closest('.scroll, svg'))
  .map(e => e.outerHTML.slice(0, 120))"""


@dataclass
class Page:
    """What a browser saw of one page at one width."""

    console: list = field(default_factory=list)
    requests: list = field(default_factory=list)
    dom: str = ""
    scroll_width: int = 0
    overflowing: list = field(default_factory=list)
    pixels: bytes = b""
    images: list = field(default_factory=list)


class Chromium:
    """Messages of the DevTools protocol, each ended by a zero byte, on descriptors 3 and 4."""

    def __init__(self, profile):
        ours_read, self._theirs_write = os.pipe()
        self._theirs_read, ours_write = os.pipe()
        self._read, self._write = ours_read, ours_write
        # dup2 onto 3 and 4 happens in a shell, so that no descriptor of ours is in the way.
        script = f'exec 3<&{self._theirs_read} 4>&{self._theirs_write}; exec "$@"'
        binary = shutil.which("chromium")
        command = ["bash", "-c", script, "-", binary, *FLAGS, f"--user-data-dir={profile}"]
        self.process = subprocess.Popen(
            [*command, "about:blank"],
            pass_fds=(self._theirs_read, self._theirs_write),
            stderr=subprocess.DEVNULL,
        )
        os.close(self._theirs_read)
        os.close(self._theirs_write)
        self._left, self._number, self.events = b"", 0, []

    def _receive(self):
        deadline = time.monotonic() + SECONDS
        while b"\0" not in self._left:
            ready, _, _ = select.select([self._read], [], [], deadline - time.monotonic())
            assert ready, "Chromium did not answer"
            data = os.read(self._read, 1 << 20)
            assert data, "Chromium ended"
            self._left += data
        message, _, self._left = self._left.partition(b"\0")
        return json.loads(message)

    def send(self, method, session=None, **parameters):
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]
            self.events.append(answer)

    def wait_for(self, method):
        while all(event.get("method") != method for event in self.events):
            self.events.append(self._receive())

    def look(self, path, width, dark=False):
        """Open ``path`` at ``width`` CSS pixels -> Page."""
        self.events.clear()
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

        def call(method, **parameters):
            return self.send(method, session, **parameters)

        for domain in ("Page", "Runtime", "Log", "Network"):
            call(f"{domain}.enable")
        metrics = {"height": 844, "deviceScaleFactor": 1, "mobile": False}
        # A mobile viewport grows to what overflows it, which would hide the overflow.
        call("Emulation.setDeviceMetricsOverride", width=width, **metrics)
        call("Emulation.setScrollbarsHidden", hidden=True)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        call("Emulation.setEmulatedMedia", features=[scheme])
        self.events.clear()
        call("Page.navigate", url=path.resolve().as_uri())
        self.wait_for("Page.loadEventFired")

        def evaluate(expression):
            result = call("Runtime.evaluate", expression=expression, returnByValue=True)
            return result["result"]["value"]

        page = Page(
            dom=evaluate("document.documentElement.outerHTML"),
            scroll_width=evaluate("document.documentElement.scrollWidth"),
            overflowing=evaluate(OVERFLOWING),
            images=evaluate("[...document.images].map(i => [i.naturalWidth, i.alt])"),
        )
        shot = call("Page.captureScreenshot", captureBeyondViewport=True)
        page.pixels = base64.b64decode(shot["data"])
        for event in self.events:
            method, given = event.get("method"), event.get("params")
            if method in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"):
                page.console.append(given)
            elif method == "Network.requestWillBeSent":
                page.requests.append(given["request"]["url"])
        self.send("Target.closeTarget", targetId=target)
        return page

    def close(self):
        self.send("Browser.close")
        self.process.wait(SECONDS)
        os.close(self._read)
        os.close(self._write)


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    """A running browser; only for tests marked ``browser``."""
    browser = Chromium(tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.close()
