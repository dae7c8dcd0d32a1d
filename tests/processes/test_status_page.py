"""The status page of real workers, in a real browser."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from liveconfig import processes

PATIENCE = 60


class Text(HTMLParser):
    """The texts of a page, and its rows of cells."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text = ""
        self.feed(html)

    def handle_data(self, data: str) -> None:
        self.text += data + "\n"


@pytest.fixture
def chromium(tmp_path: Path) -> Callable[..., str]:
    """Run headless Chromium on a page; returns its DOM, and takes a screenshot where asked."""
    program = shutil.which("chromium")
    if program is None:
        assert not os.environ.get("CI"), "CI installs chromium"
        pytest.skip("needs chromium: apt-get install chromium")
    common = [program, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]

    def browse(url: str, *options: str) -> str:
        command = [*common, "--virtual-time-budget=2000", *options, url]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True)
        return ran.stdout

    return browse


@pytest.fixture
def server(serve: Callable[..., Any]) -> Any:
    server = serve("gunicorn", "page_app:app", "--timeout", "600", "--bind", "127.0.0.1:0", workers=3)
    server.until_all(lambda answer: True)
    return server


def until_behind(pid: int) -> None:
    """Wait until a process counts as not current."""
    deadline = time.monotonic() + PATIENCE
    while not any(each.pid == pid and not each.is_current for each in processes()):
        assert time.monotonic() < deadline, processes()
        time.sleep(0.05)


def test_the_page_of_three_workers(
    server: Any, volume: Any, chromium: Callable[..., str], canary: str, tmp_path: Path, stopped: Callable[..., Any]
) -> None:
    """The page lists every worker, whichever answers, and marks the one that still uses the old configuration."""
    workers = set(server.until_all(lambda answer: True))
    url = f"http://127.0.0.1:{server.port}/liveconfig/status"
    pid = min(workers)
    with stopped(pid):
        old = volume.generation
        volume.update({"left": "two", "right": "two"})
        server.workers = 2
        server.until_all(lambda answer: answer["left"] == "two")
        until_behind(pid)
        html = chromium(url, "--dump-dom")
        text = Text(html).text
        assert {each for each in workers if str(each) in text} == workers
        [row] = [row for row in html.split("<tr")[1:] if f"<b>{pid}</b>" in row]
        assert "behind" in row
        assert old in row
        assert 'class="bad"' in row
        assert canary not in html
        for name, options in {
            "page": ("--window-size=1280,1600",),
            "telephone": ("--window-size=360,2400",),
            "dark": ("--window-size=1280,1600", "--blink-settings=preferredColorScheme=0"),
        }.items():
            picture = tmp_path / f"{name}.png"
            chromium(url, f"--screenshot={picture}", *options)
            assert picture.stat().st_size > 10_000


def test_no_sideways_scrolling_on_a_telephone(server: Any, chromium: Callable[..., str], tmp_path: Path) -> None:
    """At 360 pixels nothing of the page is wider than the window."""
    frame = tmp_path / "frame.html"
    url = f"http://127.0.0.1:{server.port}/liveconfig/status"
    html = chromium(url, "--dump-dom")
    page = tmp_path / "page.html"
    page.write_text(html)
    frame.write_text(
        "<iframe id=f width=360 height=800></iframe><script>"
        "f.onload = () => { document.title = f.contentDocument.documentElement.scrollWidth }; "
        f"f.srcdoc = {html!r}</script>".replace("</style>", "<\\/style>")
    )
    shown = chromium(frame.as_uri(), "--dump-dom")
    title = shown.partition("<title>")[2].partition("<")[0]
    assert int(title) <= 360
