"""The page of a run in a real browser: pictures, keys, hostile names, two tabs, foreign pages, 100,000 images."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import imaginate
from imaginate import decisions
from imaginate.files import Folder
from imaginate.runs import RunFolder
from support.chromium import chromium
from worlds import folder

pytestmark = pytest.mark.integration

HOSTILE = "<script>document.title='taken'</script>"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Headless Chromium."""
    with chromium(tmp_path_factory.mktemp("chromium"), "--window-size=1200,800") as opened:
        yield opened


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve new images of three classes, one of them with a hostile name."""
    root = tmp_path_factory.mktemp("review")
    (root / "pictures").mkdir()
    folder(root / "pictures", each=2)
    rows = [("file", "label")]
    for at, name in enumerate(("ant", "bee", HOSTILE)):
        rows += [(f"pictures/{('ant', 'bee', 'cow')[at]}/{i:03d}.png", name) for i in range(2)]
    (root / "labels.csv").write_text("\n".join(",".join(row) for row in rows) + "\n")
    imaginate.expand(str(root / "labels.csv"), str(root / "run"), "randaugment", copies=2, progress=False)
    return root / "run"


class Served:
    """A server of its own process."""

    def __init__(self, run: Path, *flags: str) -> None:
        command = [sys.executable, "-m", "imaginate", "review", str(run), "--by", "ada", *flags]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().removeprefix("open ").strip()

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


@pytest.fixture(scope="module")
def served(run: Path) -> Iterator[Served]:
    one = Served(run)
    yield one
    one.kill()


def wait(browser: Any, script: str, seconds: float = 20.0) -> Any:
    """The value of a script, once it is true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := browser.execute_script(f"return {script}"):
            return found
        time.sleep(0.05)
    raise AssertionError(f"never true: {script}; trouble: {browser.execute_script('return document.body.innerText')}")


def press(browser: Any, *keys: str) -> None:
    from selenium.webdriver.common.by import By

    for key in keys:
        browser.find_element(By.ID, "view").send_keys(key)


def cards(browser: Any, kind: str) -> int:
    return int(browser.execute_script(f"return document.querySelectorAll('.card.{kind}').length"))


def test_pictures_keys_and_a_kill(browser: Any, run: Path, served: Served) -> None:
    browser.get(served.address)
    wait(browser, "document.querySelectorAll('.card').length === 12")
    wait(browser, "[...document.querySelectorAll('.card img')].every(i => i.complete && i.naturalWidth > 0)")
    assert browser.title == f"Review of {run}"
    assert HOSTILE in browser.execute_script("return document.body.innerText")
    names = browser.execute_script("return [...document.querySelectorAll('.card')].map(c => c.dataset.image)")
    press(browser, "r", "a", "r", "u")
    wait(browser, "document.querySelectorAll('.card.reject').length === 1")
    wait(browser, "document.querySelectorAll('.card.accept').length === 1")
    press(browser, "l")
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    browser.find_element(By.ID, "label").send_keys(HOSTILE, Keys.ENTER)
    wait(browser, "document.querySelectorAll('.card.relabel').length === 1")
    served.kill()
    found = decisions.in_effect(decisions.read_log(Folder(run)))
    assert found[names[0]].verdict == "reject"
    assert found[names[1]].verdict == "accept"
    assert found[names[2]].label == HOSTILE
    assert {d.by for d in found.values()} == {"ada"}
    press(browser, "a")
    wait(browser, "!document.getElementById('trouble').hidden")
    assert not [line for line in browser.get_log("browser") if "Content Security Policy" in line["message"]]


def test_two_tabs_see_one_another(browser: Any, run: Path) -> None:
    (run / decisions.LOG).unlink(missing_ok=True)
    one = Served(run)
    try:
        browser.get(one.address)
        first = browser.current_window_handle
        wait(browser, "document.querySelectorAll('.card').length === 12")
        browser.switch_to.new_window("tab")
        browser.get(one.address)
        wait(browser, "document.querySelectorAll('.card').length === 12")
        press(browser, "r", "r")
        wait(browser, "document.querySelectorAll('.card.reject').length === 2")
        browser.switch_to.window(first)
        wait(browser, "document.querySelectorAll('.card.reject').length === 2")
        press(browser, "a")
        wait(browser, "document.querySelectorAll('.card.accept').length === 1")
        browser.execute_script(
            "s = document.getElementById('state'); s.value = 'rejected'; s.dispatchEvent(new Event('change'))"
        )
        wait(browser, "document.querySelectorAll('.card').length === 1")
    finally:
        one.kill()


def test_the_map_is_shown_on_demand(browser: Any, run: Path) -> None:
    one = Served(run, "--map", "nano")
    try:
        browser.get(one.address)
        wait(browser, "document.querySelectorAll('.card').length === 12 && !document.getElementById('map').hidden")
        browser.execute_script("document.getElementById('map').click()")
        wait(browser, "document.getElementById('large').open && document.getElementById('big').naturalWidth > 300")
        assert not [line for line in browser.get_log("browser") if "Content Security Policy" in line["message"]]
    finally:
        one.kill()


def refused(address: str, headers: dict[str, str], data: bytes | None = None) -> int:
    try:
        with urllib.request.urlopen(urllib.request.Request(address, data, headers), timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_only_this_page_is_answered(run: Path) -> None:
    one = Served(run)
    try:
        body = json.dumps({"image": "x", "verdict": "accept"}).encode()
        host = one.address.split("/")[2]
        assert host.startswith("127.0.0.1:")
        assert refused(one.address, {}) == 200
        assert refused(one.address + "decide", {"Origin": f"http://{host}"}, body) == 400  # no such image
        assert refused(one.address, {"Host": "evil.example"}) == 403
        assert refused(one.address + "decide", {"Origin": "http://evil.example"}, body) == 403
        assert refused(one.address + "decide", {"Origin": "null"}, body) == 403
        assert refused(one.address + "rows", {"Sec-Fetch-Site": "cross-site"}) == 403
        assert refused(f"http://{host}/wrong/rows", {}) == 403
        assert refused(f"http://{host}/", {}) == 404
        assert refused(one.address + "..%2f..%2frun.json", {}) == 404
        assert refused(one.address + "image/99999999999", {}) == 404
        other = subprocess.run(["ss", "-ltn"], capture_output=True, text=True, check=False).stdout
        assert not other or f"0.0.0.0:{host.split(':')[1]}" not in other
    finally:
        one.kill()


def test_100_000_images_scroll(browser: Any, run: Path, tmp_path: Path) -> None:
    many = Path(shutil.copytree(run, tmp_path / "many"))
    table = pq.read_table(many / "metadata.parquet")
    new = [row for row in RunFolder(many).rows() if row["method"] is not None][:1]
    row = {**new[0], "score_sharpness": 0.5}
    rows = [
        {
            **row,
            "file_name": f"{row['file_name'][:-4]}-{i}.png",
            "copy": i,
            "score_sharpness": (i * 7919 % 100_003) / 1e5,
        }
        for i in range(100_000)
    ]
    picture = (many / str(row["file_name"])).read_bytes()
    for i in (0, 1, 2, 3):
        (many / str(rows[i]["file_name"])).write_bytes(picture)
    schema = pa.unify_schemas([table.schema, pa.schema([("score_sharpness", pa.float64())])])
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), many / "metadata.parquet")
    one = Served(many)
    try:
        browser.get(one.address)
        wait(browser, "document.getElementById('count').textContent.startsWith('100000 of 100000')", 60)
        assert browser.execute_script("return document.querySelectorAll('.card').length") < 80
        browser.execute_script("v = document.getElementById('view'); v.scrollTop = v.scrollHeight")
        last = os.path.basename(str(rows[-1]["file_name"]))
        wait(browser, f"[...document.querySelectorAll('.card')].some(c => c.dataset.image === '{last}')")
        assert browser.execute_script("return document.querySelectorAll('.card').length") < 80
        most = browser.execute_async_script(
            "const done = arguments[0], v = document.getElementById('view'); let n = 0, most = 0;"
            "function step() { most = Math.max(most, document.querySelectorAll('.card').length);"
            " v.scrollTop = n * 60000; if (++n < 20) requestAnimationFrame(step); else done(most); }"
            "requestAnimationFrame(step);"
        )
        assert most < 80  # cards at any moment: a frame costs the same however many images there are
        browser.execute_script(
            "s = document.getElementById('sort'); s.value = 'sharpness'; s.dispatchEvent(new Event('change'))"
        )
        least = os.path.basename(min(rows, key=lambda r: r["score_sharpness"])["file_name"])
        wait(browser, f"[...document.querySelectorAll('.card')].some(c => c.dataset.image === '{least}')")
    finally:
        one.kill()
