"""The page in a real browser: nothing missing, nothing blank, nothing wider than the window, nothing fetched."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from sansheng.report import render

from .example import example_page


def _browser_path() -> str | None:
    """A chromium of this machine, or the one that playwright fetched; None where there is neither."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is not None:
        return found
    with sync_playwright() as playwright:
        fetched = Path(playwright.chromium.executable_path)
    return str(fetched) if fetched.exists() else None


BROWSER = _browser_path()
if BROWSER is None:
    pytest.skip("no chromium on this machine to look at the page with", allow_module_level=True)

FORMS = {
    "digits": {"seeds": 1},
    "table": {"seeds": 1, "form": "table"},
    "names": {"seeds": 1, "form": "lines"},
    "long": {"seeds": 1, "presets": ("default", "a_preset_whose_name_does_not_end_" * 3)},
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("report")
    for name, choices in FORMS.items():
        (folder / f"{name}.html").write_text(render(example_page(**choices)), encoding="utf-8")
    return {name: folder / f"{name}.html" for name in FORMS}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        switches = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=BROWSER, args=switches)
        yield browser
        browser.close()


@pytest.mark.parametrize("width", [400, 1200])
@pytest.mark.parametrize("name", FORMS)
def test_nothing_is_wider_than_the_window(browser: Browser, files: dict[str, Path], name: str, width: int) -> None:
    view = browser.new_page(viewport={"width": width, "height": 900})
    view.goto(files[name].as_uri())
    assert view.evaluate("document.documentElement.scrollWidth") <= width
    assert view.evaluate("document.querySelectorAll('section').length") == (12 if name == "table" else 11)
    view.close()


def test_a_long_name_is_broken_and_not_crushed(browser: Browser, files: dict[str, Path]) -> None:
    view = browser.new_page(viewport={"width": 1200, "height": 900})
    view.goto(files["long"].as_uri())
    sizes = view.evaluate("[...document.querySelectorAll('tbody .name')].map(e => [e.offsetWidth, e.offsetHeight])")
    assert len(sizes) > 20
    assert max(width for width, _ in sizes) <= 18 * 16
    assert max(height for _, height in sizes) < 150
    view.close()


def test_nothing_is_fetched_and_nothing_is_broken(browser: Browser, files: dict[str, Path]) -> None:
    view = browser.new_page()
    asked: list[str] = []
    complaints: list[str] = []
    view.on("request", lambda request: asked.append(request.url))
    view.on("console", lambda message: complaints.append(message.text))
    view.on("pageerror", lambda error: complaints.append(str(error)))
    view.goto(files["digits"].as_uri())
    assert [url for url in asked if not url.startswith("data:")] == [files["digits"].as_uri()]
    assert complaints == []
    assert view.evaluate("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
    view.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_picture_is_not_blank_and_follows_the_scheme(
    browser: Browser, files: dict[str, Path], scheme: Literal["light", "dark"]
) -> None:
    view = browser.new_page(viewport={"width": 1200, "height": 900}, color_scheme=scheme)
    view.goto(files["digits"].as_uri())
    pixels = np.asarray(Image.open(io.BytesIO(view.screenshot(full_page=True))).convert("L"), dtype=float)
    bands = np.array_split(pixels, max(1, len(pixels) // 900))
    assert all(band.std() > 5 for band in bands)
    assert (np.median(pixels) > 128) == (scheme == "light")
    view.close()


def test_text_stands_out_from_its_ground(browser: Browser, files: dict[str, Path]) -> None:
    """Soft text reaches the contrast of 4.5 that WCAG 2.2 (1.4.3) asks for, by day and by night."""
    for scheme in ("light", "dark"):
        view = browser.new_page(color_scheme=scheme)
        view.goto(files["digits"].as_uri())
        names = ("soft", "page", "paper", "shade")
        found = "names => names.map(n => getComputedStyle(document.documentElement).getPropertyValue('--' + n))"
        soft, *grounds = (_luminance(colour) for colour in view.evaluate(found, names))
        assert all((max(soft, g) + 0.05) / (min(soft, g) + 0.05) >= 4.5 for g in grounds)
        view.close()


def _luminance(colour: str) -> float:
    """Relative luminance of ``#rrggbb`` (WCAG 2.2)."""
    channels = np.array([int(colour.strip()[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])
