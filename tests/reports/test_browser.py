"""The report in a real browser: nothing in the console, every picture loads, tables sort, nothing overflows."""

# ruff: noqa: E501

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from imaginate.reports import Options, write_report

pytestmark = pytest.mark.integration

CONTRAST = """
function channel(v) { v /= 255; return v <= 0.03928 ? v / 12.92 : Math.pow((v + 0.055) / 1.055, 2.4); }
function light(c) { var m = c.match(/[\\d.]+/g).map(Number); return .2126*channel(m[0]) + .7152*channel(m[1]) + .0722*channel(m[2]); }
function behind(e) { for (; e; e = e.parentElement) { var c = getComputedStyle(e).backgroundColor;
  if (c !== 'rgba(0, 0, 0, 0)' && c !== 'transparent') return c; } return 'rgb(255, 255, 255)'; }
var worst = [99, ''];
document.querySelectorAll('p, li, th, td, dt, dd, h1, h2, h3, h4, h5, a, figcaption, figcaption span, small, .sign').forEach(function (e) {
  if (!e.textContent.trim() || !e.getClientRects().length || e.className === 'skip') return;
  var a = light(getComputedStyle(e).color), b = light(behind(e));
  var ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
  if (ratio < worst[0]) worst = [ratio, e.tagName + '.' + e.className + ' ' + e.textContent.trim().slice(0, 40)];
});
return worst;
"""


def show(browser: Any, folder: Path, width: int = 1280, height: int = 900, scheme: str = "light") -> None:
    """Make the folder's report and open it."""
    (file,) = write_report(folder, options=Options(hourly_price=1.5))
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    features = [
        {"name": "prefers-color-scheme", "value": scheme},
        {"name": "prefers-reduced-motion", "value": "reduce"},
    ]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    browser.get_log("browser")
    browser.get(file.as_uri())


@pytest.mark.parametrize("folder", ["study", "flowers-gif"])
def test_nothing_in_the_console_and_every_picture_loads(browser: Any, world: Path, folder: str) -> None:
    show(browser, world / folder)
    browser.execute_script("document.querySelectorAll('details').forEach(d => { d.open = true; });")
    broken = browser.execute_async_script(
        "var done = arguments[0];"
        "Promise.all(Array.from(document.images, i => i.decode().then(() => '', () => i.alt)))"
        ".then(found => done([found.length, found.filter(Boolean)]));"
    )
    assert broken[0] > 30
    assert broken[1] == []
    assert browser.get_log("browser") == []
    assert (
        browser.execute_script(
            "return performance.getEntriesByType('resource').filter(e => !e.name.startsWith('data:')).length"
        )
        == 0
    )


def column(browser: Any, index: int) -> list[str]:
    script = "return Array.from(document.querySelector('table.headline').tBodies[0].rows, r => r.cells[arguments[0]].dataset.value || '')"
    return list(browser.execute_script(script, index))


def test_tables_sort_by_click_and_by_keyboard(browser: Any, world: Path) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    show(browser, world / "study")
    before = column(browser, 1)
    buttons = browser.find_elements(By.CSS_SELECTOR, "table.headline thead button")
    heads = browser.find_elements(By.CSS_SELECTOR, "table.headline thead th")
    buttons[1].click()
    assert heads[1].get_attribute("aria-sort") == "descending"
    assert column(browser, 1) == sorted(before, key=float, reverse=True)
    assert column(browser, 1) != before
    buttons[2].send_keys(Keys.ENTER)
    assert heads[1].get_attribute("aria-sort") is None
    assert heads[2].get_attribute("aria-sort") == "descending"
    assert column(browser, 2)[-1] == "", "what was not measured comes last"
    buttons[2].send_keys(Keys.SPACE)
    assert heads[2].get_attribute("aria-sort") == "ascending"
    shown = column(browser, 2)
    assert shown[-1] == "", "in either direction"
    assert shown[:-1] == sorted(shown[:-1], key=float)


def test_the_keyboard_reaches_links_tables_and_details_in_order(browser: Any, world: Path) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    show(browser, world / "study")
    reached = []
    for _ in range(40):
        browser.switch_to.active_element.send_keys(Keys.TAB)
        reached.append(
            browser.execute_script("return document.activeElement.tagName + '.' + document.activeElement.className")
        )
    assert reached[0] == "A.skip"
    assert {"A.", "DIV.scroll", "BUTTON."} <= set(reached)
    details = browser.find_element(By.CSS_SELECTOR, "details summary")
    details.send_keys(Keys.ENTER)
    assert browser.find_element(By.CSS_SELECTOR, "details").get_attribute("open")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("folder", ["study", "flowers-gif"])
def test_it_fits_and_reads_on_phone_and_desktop(
    browser: Any, world: Path, folder: str, width: int, scheme: str
) -> None:
    show(browser, world / folder, width, scheme=scheme)
    browser.execute_script("document.querySelectorAll('details').forEach(d => { d.open = true; });")
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    small = browser.execute_script(
        "return Array.from(document.querySelectorAll('svg.plot text'), t => t.getBoundingClientRect().height).filter(h => h && h < 8).length"
    )
    assert small == 0
    ratio, where = browser.execute_script(CONTRAST)
    assert ratio >= 4.5, where
    paper = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (sum(int(v) for v in paper[4:-1].split(",")) < 200) == (scheme == "dark")


def stretch(study: Path) -> None:
    """Arms and classes with names that nothing can break, and a leak in every place."""
    results = json.loads((study / "results.json").read_text())
    long = "a_name_without_any_break_" * 4
    results["data"] |= {
        "classes": [long, *results["data"]["classes"][1:]],
        "titles": [long, *results["data"]["classes"][1:]],
    }
    for arm in results["arms"]:
        arm["per_class"][0]["class"] = long
        arm["title"] = f"{long}{arm['name']}"
    results["leak"] |= {"examples": [[long * 2, long]], "validation": {"held_out": 1, "train": 2, "removed": 3}}
    results["curves"][0]["title"] = results["missing"][0]["arm"] = long
    results["warnings"] = [long]
    (study / "results.json").write_text(json.dumps(results))


@pytest.mark.parametrize("width", [320, 390, 1200, 1280])
def test_long_names_break_and_never_widen_the_page(browser: Any, world: Path, width: int) -> None:
    stretch(world / "study")
    show(browser, world / "study", width)
    browser.execute_script("document.querySelectorAll('details').forEach(d => { d.open = true; });")
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    outside = browser.execute_script("""
        return Array.from(document.querySelectorAll('main *')).filter(e => !e.closest('.scroll, svg, pre, .sr') &&
            e.getClientRects().length && e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML.slice(0, 80));
    """)
    assert outside == []


def test_every_class_is_reached_by_keyboard(browser: Any, world: Path) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    show(browser, world / "study", 390)
    place = browser.find_element(By.CSS_SELECTOR, "#classes details")
    place.find_element(By.TAG_NAME, "summary").send_keys(Keys.ENTER)
    buttons = place.find_elements(By.CSS_SELECTOR, "thead button")
    read = "return Array.from(arguments[0].querySelectorAll('tbody tr'), r => r.cells[arguments[1]].textContent.trim())"
    held_out = browser.execute_script(read, place, 4)
    assert len(held_out) == 12
    buttons[4].send_keys(Keys.ENTER)
    assert browser.execute_script(read, place, 4) == sorted(held_out, key=int, reverse=True)
    buttons[1].send_keys(Keys.ENTER)
    changes = [float(text.split()[0].replace("−", "-")) for text in browser.execute_script(read, place, 1)]
    assert changes == sorted(changes, reverse=True)
    buttons[2].send_keys(Keys.ENTER)
    assert "too few held-out images" in browser.execute_script(read, place, 2)


def test_paper_shows_everything_in_light_colours(browser: Any, world: Path) -> None:
    show(browser, world / "study", scheme="dark")
    data = browser.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})["data"]
    assert base64.b64decode(data).startswith(b"%PDF")
    browser.execute_script("window.dispatchEvent(new Event('beforeprint'))")
    assert browser.execute_script("return document.querySelectorAll('details:not([open])').length") == 0
    browser.execute_script("window.dispatchEvent(new Event('afterprint'))")
    assert browser.execute_script("return document.querySelectorAll('details[open]').length") == 0
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert browser.execute_script("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
