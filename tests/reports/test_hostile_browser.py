"""Hostile names, prompts, captions and licences in a real browser: no script of theirs runs, nothing is fetched."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from markdown_it import MarkdownIt
from PIL import Image

import imaginate
from imaginate.cli import main
from imaginate.reports import write_report
from imaginate.training.card import card

pytestmark = pytest.mark.integration

FAR = "http://127.0.0.1:9"  # nobody answers there; that it is asked is what is counted
HEAD = "<!doctype html><meta charset=utf-8><link rel=icon href=data:,>"
HOSTILE = [
    "<script>window.RAN=1</script>",
    "<img src=x onerror=window.RAN=1>",
    '"><svg onload=window.RAN=1>',
    "' onmouseover=window.RAN=1 x='",
    "</title></style></script><script>window.RAN=1</script>",
    "<iframe srcdoc='<script>parent.RAN=1</script>'></iframe>",
    f"<meta http-equiv=refresh content='0;url={FAR}/away'>",
    f"<link rel=stylesheet href={FAR}/s.css>",
    f"<base href={FAR}/>",
    f"![picture]({FAR}/p.png)",
    "[press](javascript:window.RAN=1)",
    f"<{FAR}/auto>",
    "[named]: javascript:window.RAN=1",
    "--><script>window.RAN=1</script><!--",
    "```\n<script>window.RAN=1</script>",
    "| a | b\n| --- | ---\n<script>window.RAN=1</script>",
    "{{ 7 * 7 }}{% raw %}",
    "a\u2028<script>window.RAN=1</script>",
    "\u202e<b>turned",
    "&lt;script&gt;window.RAN=1&lt;/script&gt;",
    "<details open ontoggle=window.RAN=1>",
    "<math><mtext></form><mglyph><style></math><img src onerror=window.RAN=1>",
]  # fmt: skip


def files_below(root: Path) -> None:
    """Classes of hostile names, as far as a folder may have them, whose pictures are named so too."""
    for number, text in enumerate(t for t in HOSTILE if "/" not in t and len(t.encode()) < 100):
        (root / text).mkdir(parents=True)
        for k in range(2):
            rng = np.random.default_rng(10 * number + k)
            Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8)).save(root / text / f"{k}{text}.png")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of such classes, whose titles, definitions and prompts are hostile too."""
    import yaml

    root = tmp_path_factory.mktemp("hostile")
    files_below(root / "data")
    classes = sorted(p.name for p in (root / "data").iterdir())
    short = [text for text in HOSTILE if len(text) < 40]  # the nano prior reads prompts of 32 tokens
    about = {
        name: {"display": short[i % len(short)], "definition": HOSTILE[-1 - i % len(HOSTILE)]}
        for i, name in enumerate(classes)
    }
    (root / "classes.yaml").write_text(yaml.safe_dump(about, allow_unicode=True), encoding="utf-8")
    imaginate.expand(
        root / "data", root / "run", "prompt", prior="nano", per_class=1, steps=1, device="cpu",
        classes_file=str(root / "classes.yaml"), progress=False,
    )  # fmt: skip
    return root / "run"


def inspect(browser: Any, page: Path) -> dict[str, Any]:
    """Open a page, wait and open what is closed in it; what happened."""
    browser.get_log("browser")
    browser.get_log("performance")
    browser.get(page.as_uri())
    browser.execute_script("document.querySelectorAll('details').forEach(d => { d.open = true; });")
    browser.execute_script("document.querySelectorAll('[onmouseover]').forEach(e => e.onmouseover());")
    browser.execute_async_script("setTimeout(arguments[0], 300)")
    asked = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return {
        "ran": browser.execute_script("return window.RAN"),
        "at": browser.current_url,
        "alert": browser.execute_script("return document.querySelectorAll('a[href^=\"javascript\" i]').length"),
        "far": [m["params"]["request"]["url"] for m in asked if m["method"] == "Network.requestWillBeSent"
                and m["params"]["request"]["url"].startswith("http")],
        "console": browser.get_log("browser"),
    }  # fmt: skip


def nothing(page: Path) -> dict[str, Any]:
    """What happens on a page on which nothing happens."""
    return {"ran": None, "at": page.as_uri(), "alert": 0, "far": [], "console": []}


def test_the_report_of_a_run(browser: Any, run: Path) -> None:
    (page,) = write_report(run)
    assert inspect(browser, page) == nothing(page)
    text = browser.execute_script("return document.body.textContent")
    assert all(name in text for name in ("<img src=x onerror=window.RAN=1>", "{{ 7 * 7 }}{% raw %}"))
    sheet = run / "contact-sheet.png"
    browser.get(sheet.as_uri())
    assert browser.execute_script("return document.images[0].naturalWidth") > 100


def test_the_policy_of_the_page_stops_what_would_get_in(browser: Any, run: Path) -> None:
    (page,) = write_report(run)
    inspect(browser, page)
    browser.execute_script(f"""
        document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=window.RAN=1><img src={FAR}/p.png>');
        var script = document.createElement('script'); script.textContent = 'window.RAN=1';
        document.body.append(script);
        var far = document.createElement('script'); far.src = '{FAR}/s.js'; document.body.append(far);
        var frame = document.createElement('iframe'); frame.src = '{FAR}/f'; document.body.append(frame);
    """)
    browser.execute_async_script("setTimeout(arguments[0], 300)")
    assert browser.execute_script("return window.RAN") is None
    said = [entry["message"] for entry in browser.get_log("browser")]
    assert sum("Content Security Policy" in message for message in said) >= 4, said


def test_the_report_of_a_study(browser: Any, world: Path) -> None:
    place = world / "study" / "results.json"
    results = json.loads(place.read_text())
    names = (HOSTILE * 3)[: len(results["data"]["classes"])]
    results["data"] |= {"classes": names, "titles": names[::-1], "name": HOSTILE[4]}
    for number, arm in enumerate(results["arms"]):
        arm["title"] = HOSTILE[number]
        for k, row in enumerate(arm["per_class"]):
            row["class"] = names[k]
    results["leak"] |= {"examples": [[HOSTILE[0], HOSTILE[1]]]}
    results["warnings"] = HOSTILE
    place.write_text(json.dumps(results))
    (page,) = write_report(world / "study")
    assert inspect(browser, page) == nothing(page)


def test_the_cards(browser: Any, run: Path, tmp_path: Path) -> None:
    """As a page that lets HTML through shows them: more than any hub does."""
    shown = MarkdownIt("commonmark", {"html": True}).enable("table")
    result: dict[str, Any] = {
        "settings": {"arch": "small"}, "held_out": None, "image_size": 64, "images": 4, "classes": HOSTILE,
        "temperature": 1.0, "validation": None,
    }  # fmt: skip
    for number, text in enumerate([(run / "README.md").read_text(encoding="utf-8"), card(result)]):
        page = tmp_path / f"{number}.html"
        page.write_text(HEAD + shown.render(text), encoding="utf-8")
        assert inspect(browser, page) == nothing(page)


def test_tables_for_papers(browser: Any, world: Path, tmp_path: Path) -> None:
    place = world / "study" / "results.json"
    results = json.loads(place.read_text())
    for number, arm in enumerate(results["arms"]):
        arm["title"] = HOSTILE[number]
    place.write_text(json.dumps(results))
    assert main(["report", str(world / "study"), "--format", "markdown", "--out", str(tmp_path)]) == 0
    shown = MarkdownIt("commonmark", {"html": True}).enable("table")
    for text in tmp_path.glob("*.md"):
        page = text.with_suffix(".html")
        page.write_text(
            f"<!doctype html><meta charset=utf-8><link rel=icon href=data:,>{shown.render(text.read_text())}"
        )
        assert inspect(browser, page) == nothing(page)
