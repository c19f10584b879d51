"""A real Chromium on a real application, for the tests of the page."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
GRAPHICS = ("--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--no-sandbox")
"""Without a graphics processor Chromium draws WebGL only if it is told to."""
PATIENCE_S = 300.0


class Application:
    """``glioseg app`` as a process of its own, on a port that stays the same when it is started again."""

    def __init__(self, folder: Path, port: int = 0) -> None:
        self.folder = folder
        self.port = port
        self.address = ""
        self.start()

    def start(self) -> None:
        """Start it and wait until it says where it is."""
        log = self.folder.with_suffix(".log")
        command = [sys.executable, "-m", "glioseg", "app", str(self.folder), "--no-browser", "--port", str(self.port)]
        with log.open("wb") as out:
            self.process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
        end = time.monotonic() + PATIENCE_S
        while not (found := re.search(r"http://\S+", log.read_text())):
            assert self.process.poll() is None, log.read_text()
            assert time.monotonic() < end, "the application did not say its address"
            time.sleep(0.1)
        self.address = found.group(0)
        self.port = int(re.findall(r":(\d+)/", self.address)[0])
        self._wait_until_it_answers(end)

    def _wait_until_it_answers(self, end: float) -> None:
        while time.monotonic() < end:
            try:
                httpx.get(self.base, timeout=5)
            except httpx.TransportError:
                time.sleep(0.1)
            else:
                return
        raise AssertionError("the application does not answer")

    @property
    def base(self) -> str:
        """The address without its token."""
        return f"http://127.0.0.1:{self.port}/"

    def kill(self) -> None:
        """End it and its worker at once, without a chance to tidy up."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(timeout=30)

    @contextmanager
    def client(self) -> Iterator[httpx.Client]:
        """A program that is let in and may change things."""
        with httpx.Client(base_url=self.base, timeout=PATIENCE_S) as client:
            client.get(self.address, follow_redirects=True)
            client.headers["X-Glioseg-CSRF"] = client.get("/api/session").json()["csrf"]
            client.headers["Origin"] = self.base.rstrip("/")
            yield client


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(GRAPHICS))
        try:
            yield browser
        finally:
            browser.close()
