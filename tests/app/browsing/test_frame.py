"""The frame: every view and dialogue in every width, light and dark, for everybody, in every language."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.app.browser import Application
from tests.app.browsing.pages import OpenPage, drop, scans_sent, until

_WIDTHS = ((1400, 900), (1280, 800), (820, 1180), (768, 1024), (400, 800))
Address = Callable[[str, str], str]
_VIEWS: dict[str, tuple[str, Address]] = {
    "new": (".drop", lambda case, later: "#/new"),
    "cases": ("#worklist", lambda case, later: "#/cases"),
    "case": ("#volumes table", lambda case, later: f"#/case/{case}"),
    "compare": (".curve svg", lambda case, later: f"#/compare/{case}/{later}"),
}


def require_accessible(page: Any) -> None:
    """No serious finding of axe, as the page is now."""
    axe: Any = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")
    page.wait_for_timeout(300)
    found = axe.Axe().run(page).response["violations"]
    serious = [own for own in found if own["impact"] in ("serious", "critical")]
    assert serious == [], json.dumps([(own["id"], own["nodes"][0]["html"]) for own in serious], indent=1)


@pytest.mark.parametrize("view", list(_VIEWS))
def test_accessible_and_never_wider_than_the_window(
    open_page: OpenPage, case: str, later: str, scans: dict[str, Path], view: str
) -> None:
    there, address = _VIEWS[view]
    # axe is put into the page as a script, which the page's own policy forbids to everybody else
    page = open_page(address(case, later), bypass_csp=True)
    page.wait_for_selector(there)
    if view == "new":
        drop(page, scans_sent(scans))
        page.wait_for_selector(".network")
    if view == "case":
        page.wait_for_selector("#position:not(:empty)")
        page.keyboard.press("t")
        page.wait_for_selector("#range-low")
    for width, height in _WIDTHS:
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_timeout(200)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, width
    for scheme, width in (("light", 1280), ("dark", 1280), ("light", 400)):
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 800})
        require_accessible(page)


def test_of_two_cases_only_the_one_that_was_asked_for_last_is_open(open_page: OpenPage, case: str, later: str) -> None:
    """The first answers after the second: two cases on one page would share its keys, and be drawn on together."""
    page = open_page("#/cases")
    page.wait_for_selector("#worklist")
    page.evaluate(
        """(slow) => {
          const real = window.fetch;
          window.fetch = async (path, ...more) => {
            if (path === slow) await new Promise((go) => setTimeout(go, 1500));
            return real(path, ...more);
          };
        }""",
        f"/api/cases/{case}",
    )
    page.evaluate(f"location.hash = '#/case/{case}'")
    page.wait_for_timeout(200)
    page.evaluate(f"location.hash = '#/case/{later}'")
    page.wait_for_selector("#volumes table")
    page.wait_for_timeout(3000)
    assert page.locator(".case").count() == 1


def test_dialogues_are_accessible(open_page: OpenPage, case: str) -> None:
    page = open_page(f"#/case/{case}", bypass_csp=True)
    page.wait_for_selector("#position:not(:empty)")
    page.keyboard.press("?")
    page.wait_for_selector("#help[open]")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        require_accessible(page)
    page.keyboard.press("Escape")
    page.keyboard.press("b")
    page.keyboard.press("Space")
    page.keyboard.press("Control+s")
    page.wait_for_selector("#save-by")
    require_accessible(page)


def test_who_is_not_let_in_is_asked_for_the_password(browser: Any, application: Application) -> None:
    context = browser.new_context(bypass_csp=True)
    page = context.new_page()
    page.goto(application.base)
    page.wait_for_selector("input[type=password]")
    require_accessible(page)
    context.close()


def test_colours_follow_the_system_or_the_choice(open_page: OpenPage) -> None:
    page = open_page("#/cases", color_scheme="dark")

    def is_dark() -> bool:
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(map(float, re.findall(r"[\d.]+", colour)[:3])) < 3 * 90

    until(page, is_dark)
    page.emulate_media(color_scheme="light")
    until(page, lambda: not is_dark())
    page.select_option("select[aria-label=Colours]", "dark")
    until(page, is_dark)
    page.reload()
    page.wait_for_selector("#header nav")
    until(page, is_dark)
    page.select_option("select[aria-label=Colours]", "auto")
    until(page, lambda: not is_dark())


def test_german(open_page: OpenPage, case: str) -> None:
    page = open_page("#/cases", locale="de-DE")
    assert page.text_content("h1") == "Arbeitsliste"
    assert page.get_attribute("html", "lang") == "de"
    page.goto(f"{page.url.partition('#')[0]}#/case/{case}")
    page.wait_for_selector("#volumes table")
    assert re.fullmatch(r"\d+,\d", page.locator("#volumes .volume").first.text_content())
    assert "Pinsel" in page.text_content("#tool-brush")
    page.select_option("select[aria-label=Sprache]", "en")
    page.wait_for_selector("#tool-brush:has-text('Brush')")
    assert page.get_attribute("html", "lang") == "en"
