"""Hands that are quicker than the page, let go elsewhere, or go away in the middle."""

from __future__ import annotations

from typing import Any

from tests.app.browser import Application
from tests.app.browsing.pages import ET, MODALITIES, OpenPage, open_case, save, spot, until, volume


def test_a_slider_is_dragged_all_the_way(open_page: OpenPage, case: str) -> None:
    page = open_case(open_page, case)
    box = page.locator("#radius").bounding_box()
    least, most = (float(page.get_attribute("#radius", name)) for name in ("min", "max"))
    thumb = 3 / (most - least)  # the radius begins with three voxels
    page.mouse.move(box["x"] + (0.04 + 0.92 * thumb) * box["width"], box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + box["height"] / 2, steps=8)
    page.mouse.move(box["x"] + box["width"] + 5, box["y"] + box["height"] / 2, steps=8)
    page.mouse.up()
    assert float(page.input_value("#radius")) == most
    assert page.get_attribute("#radius", "aria-valuetext") == "Radius: 40.0 mm"
    assert page.is_visible("text=Radius: 40.0 mm")


def test_the_threshold_brush_goes_on_with_another_modality(open_page: OpenPage, case: str) -> None:
    page = open_case(open_page, case)
    for key in (str(ET), "t"):
        page.keyboard.press(key)
    before = page.input_value("#range-high")
    page.keyboard.press(".")
    assert page.input_value("#range-high") != before
    page.keyboard.press("Space")
    page.keyboard.press(str(ET))
    assert page.get_attribute(f"#label-{ET}", "aria-pressed") == "true"


def test_a_key_that_is_held_asks_for_one_arrangement(open_page: OpenPage, case: str) -> None:
    page = open_case(open_page, case)
    for _ in range(4):
        page.keyboard.press("m")
    until(page, lambda: page.locator(".slices .pane").count() >= len(MODALITIES))
    page.wait_for_timeout(1500)
    assert page.locator(".slices .pane-title").count() == len(MODALITIES)
    assert page.locator(".slices .pane").count() == len(MODALITIES)


def test_a_stroke_ends_where_its_canvas_goes_and_the_button_is_let_go_elsewhere(open_page: OpenPage, case: str) -> None:
    page = open_case(open_page, case)
    page.keyboard.press(str(ET))
    page.keyboard.press("b")
    before = volume(page, "ET")
    start = spot(page, 0.2, 0.25)
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(start[0] + 30, start[1], steps=4)
    page.keyboard.press("m")  # one canvas for each modality in the place of this one
    until(page, lambda: page.locator(".slices .pane-title").count() == len(MODALITIES))
    header = page.locator("#header").bounding_box()
    page.mouse.move(header["x"] + 300, header["y"] + 5)
    page.mouse.up()
    until(page, lambda: page.is_visible("text=not saved"))
    drawn = volume(page, "ET")
    assert drawn > before
    for across in (0.3, 0.5, 0.7):  # no button is down
        page.mouse.move(*spot(page, across, 0.5))
    page.wait_for_timeout(300)
    assert volume(page, "ET") == drawn


def _drawn(page: Any) -> None:
    """One stamp, and the window that asks by whom."""
    for key in (str(ET), "o", "Space", "Control+s"):
        page.keyboard.press(key)
    page.fill("#save-by", "Ada")


def _n_kept(application: Application, case: str) -> int:
    with application.client() as client:
        return len(client.get(f"/api/cases/{case}").json()["corrections"])


def test_two_quick_presses_save_once(open_page: OpenPage, application: Application, case: str) -> None:
    page = open_case(open_page, case)
    before = _n_kept(application, case)
    page.keyboard.press("Shift+ArrowUp")
    _drawn(page)
    page.dblclick("dialog[open] button.main")
    page.wait_for_selector("dialog[open]", state="detached")
    page.wait_for_timeout(1500)
    assert _n_kept(application, case) == before + 1


def test_the_window_that_saves_goes_with_its_case(open_page: OpenPage, application: Application, case: str) -> None:
    page = open_case(open_page, case)
    for _ in range(3):
        page.keyboard.press("Shift+ArrowLeft")
    before = _n_kept(application, case)
    _drawn(page)
    page.evaluate("location.hash = '#/cases'")
    page.wait_for_selector("h1:has-text('Worklist')")
    assert page.locator("dialog[open]").count() == 0
    assert _n_kept(application, case) == before


def _held(page: Any) -> Any:
    """A save that is on its way, and waits for what the test makes of it."""
    found: list[Any] = []
    page.route("**/mask?*", lambda route: found.append(route))  # Playwright takes no built-in function
    _drawn(page)
    page.click("dialog[open] button.main")
    until(page, lambda: found)
    return found[0]


def test_a_save_that_fails_once_its_window_is_closed_is_said(open_page: OpenPage, case: str) -> None:
    page = open_case(open_page, case)
    page.keyboard.press("Shift+ArrowRight")
    held = _held(page)
    page.keyboard.press("Escape")
    assert page.locator("dialog[open]").count() == 0
    held.abort()
    page.wait_for_selector(".message.error:has-text('does not answer')")
    assert page.is_visible("text=not saved")


def test_a_case_that_is_left_while_it_is_saved_is_saved(
    open_page: OpenPage, application: Application, case: str
) -> None:
    page = open_case(open_page, case)
    for _ in range(2):
        page.keyboard.press("Shift+ArrowRight")
    before = _n_kept(application, case)
    held = _held(page)
    page.evaluate("location.hash = '#/cases'")
    page.wait_for_selector("h1:has-text('Worklist')")
    held.continue_()
    until(page, lambda: _n_kept(application, case) == before + 1)
    page.wait_for_selector(".message:has-text('is saved')")
    page.evaluate(f"location.hash = '#/case/{case}'")
    page.wait_for_selector("#volumes table")
    page.wait_for_selector("#position:not(:empty)")
    assert not page.is_visible("text=not saved")


def test_a_mask_that_cannot_be_loaded_is_said(open_page: OpenPage, application: Application, case: str) -> None:
    page = open_case(open_page, case)
    if not _n_kept(application, case):
        _drawn(page)
        page.click("dialog[open] button.main")
        page.wait_for_selector("dialog[open]", state="detached")
    shown = page.input_value("#mask-which")
    page.route("**/mask.nii.gz", lambda route: route.abort())
    page.select_option("#mask-which", "0")
    page.wait_for_selector(".message.error:has-text('does not answer')")
    until(page, lambda: page.input_value("#mask-which") == shown)
    page.unroute("**/mask.nii.gz")
    page.select_option("#mask-which", "0")
    until(page, lambda: "as predicted" in page.text_content("#keep-which"))


def test_the_mask_that_is_shown_is_exported(open_page: OpenPage, case: str) -> None:
    page = open_case(open_page, case)
    page.keyboard.press("Shift+ArrowDown")
    for key in (str(ET), "o", "Space"):
        page.keyboard.press(key)
    assert "not saved" in page.text_content("#keep-which")
    save(page, "Grace")
    assert "Grace" in page.text_content("#keep-which")

    def exported() -> str:
        with page.expect_download() as download:
            page.click("#export-nifti")
        name: str = download.value.suggested_filename
        return name

    assert "-corrected-" in exported()
    page.select_option("#mask-which", "0")
    until(page, lambda: "as predicted" in page.text_content("#keep-which"))
    assert exported() == f"{case}.nii.gz"
