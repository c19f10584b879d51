"""What goes wrong, and costs nothing: cancelled, killed, opened twice."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from tests.app.browser import Application
from tests.app.browsing.pages import ET, OpenPage, drop, open_case, save, scans_sent, until, volume, wait_for_case


def begin(page: Any, scans: dict[str, Path], *, n: int = 1) -> None:
    """Drop a patient and have it masked, several times."""
    for _ in range(n):
        drop(page, scans_sent(scans))
        page.wait_for_selector("#found select[data-series]")
        page.check("input[value='model:phantom']")
        page.click("#found button.main")
        page.wait_for_selector("#found select[data-series]", state="detached")


def test_cancelled_within_the_step_of_the_network(
    open_page: OpenPage, application: Application, scans: dict[str, Path]
) -> None:
    page = open_page("#/new")
    begin(page, scans, n=2)
    now = page.locator(".steps [aria-current]")
    until(page, lambda: now.count() and re.search(r"network \d+", now.first.text_content()))
    assert 0 < float(page.locator(".job:has([aria-current]) progress").evaluate("own => own.value")) < 1
    page.locator(".job:has(.steps [aria-current]) button").click()
    page.wait_for_selector("#jobs span:text-is('cancelled')", timeout=20_000)
    page.wait_for_selector("#jobs a.button")  # the other one goes on, and is done
    with application.client() as client:
        states = sorted(each["state"] for each in client.get("/api/cases").json()[:2])
    assert states == ["cancelled", "done"]


def test_killed_in_the_middle_and_started_again(
    open_page: OpenPage, application: Application, scans: dict[str, Path]
) -> None:
    page = open_page("#/new")
    begin(page, scans)
    page.wait_for_selector(".job .steps [aria-current]")
    application.kill()
    page.wait_for_selector(".banner:has-text('does not answer')")
    application.start()
    page.wait_for_selector(".banner:has-text('restarted')")
    again = open_page("#/cases", context=page.context)
    with application.client() as client:
        until(again, lambda: client.get("/api/cases").json()[0]["state"] == "done")
        newest = client.get("/api/cases").json()[0]
        again.wait_for_selector(f"#worklist a[href='#/case/{newest['id']}']")
        assert client.get(f"/api/cases/{newest['id']}/mask.nii.gz").status_code == 200


def test_unsaved_corrections_survive_a_killed_program(open_page: OpenPage, application: Application, case: str) -> None:
    page = open_case(open_page, case)
    page.keyboard.press(str(ET))
    page.keyboard.press("o")
    page.keyboard.press("Space")
    drawn = volume(page, "ET")
    page.wait_for_timeout(800)
    application.kill()
    page.wait_for_selector(".banner")
    page.keyboard.press("Control+s")
    page.fill("#save-by", "T")
    page.click("dialog[open] button.main")
    page.wait_for_selector("dialog[open] .note-box.error")  # it says so, and nothing is lost
    page.keyboard.press("Escape")
    application.start()
    again = open_page(f"#/case/{case}", context=page.context)
    wait_for_case(again)
    assert volume(again, "ET") == drawn
    assert again.is_visible("text=not saved")


def test_a_second_window_hears_of_a_correction(open_page: OpenPage, case: str) -> None:
    first = open_case(open_page, case)
    second = open_page(f"#/case/{case}", context=first.context)
    wait_for_case(second)
    n = second.locator("#mask-which option").count()
    first.keyboard.press("2")
    first.keyboard.press("b")
    first.keyboard.press("ArrowDown")
    first.keyboard.press("Space")
    save(first, "First window")
    second.wait_for_selector(f"#mask-which option >> nth={n}", state="attached")
    assert "First window" in second.text_content("#mask-which")
