"""The report of a run holds what it was told, warns where figures deceive, and makes do with what is there."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from glioseg.errors import FileError
from glioseg.evaluation.confidence import CheckRecord
from glioseg.evaluation.published import PublishedProtocol
from glioseg.report.html import FIGURES
from glioseg.report.parts.reasons import reason_of
from glioseg.report.parts.run_further import of_no_use
from glioseg.report.run import write_run_report
from glioseg.report.run_facts import NetworkFacts, PartCounts, SegmentationFacts, SplitFacts, SplitUnit
from glioseg.report.segmentation import segmentation_page
from glioseg.training.log import LogRow
from tests.report.made_run import (
    PROTOCOL,
    bare_run,
    full_run,
    log,
    part_scores,
    reference,
    scored,
    shifted,
    unet_levels,
)

_DAY = date(2024, 5, 17)
_SECTIONS = [
    "results", "published", "gallery", "triptychs", "training", "distributions", "surfaces", "lesions", "subgroups",
    "contributions", "cases", "epochs", "data",
    "network", "weights", "recipe", "machine", "conventions",
]  # fmt: skip
_FIGURES = {
    "gallery-best", "gallery-median", "gallery-worst", "gallery-no-tumour", "triptychs", "losses", "scores",
    "regions-by-epoch", "learning-rate", "pace", "dice-by-case", "volumes", "volume-differences", "architecture",
    "weight-maps", "surfaces", "lesions", "subgroups",
}  # fmt: skip


def _write(facts: SegmentationFacts, out: Path) -> str:
    page = segmentation_page(facts, out / FIGURES)
    return write_run_report(facts, page, out, written_on=_DAY).read_text(encoding="utf-8")


def _sections(text: str) -> list[str]:
    return re.findall(r'<section class="part" id="([a-z-]+)"', text)


def _figures(text: str) -> list[str]:
    return re.findall(r'id="figure-([a-z0-9-]+)"', text)


def _section(text: str, name: str) -> str:
    return text[text.index(f'<section class="part" id="{name}"') :].split("</section>")[0]


def _rows(text: str, name: str) -> list[list[str]]:
    """The cells of every row of the tables in a section, without their tags."""
    rows = re.findall(r"<tr>(.*?)</tr>", _section(text, name), re.DOTALL)
    cells = [re.findall(r"<td.*?>(.*?)</td>", row, re.DOTALL) for row in rows]
    return [[re.sub(r"<.*?>", "", cell) for cell in row] for row in cells if row]


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> tuple[SegmentationFacts, Path, str]:
    """A run with everything, where its report is, and the page."""
    out = tmp_path_factory.mktemp("run")
    facts = full_run()
    return facts, out, _write(facts, out)


def test_contributions_are_told(full: tuple[SegmentationFacts, Path, str]) -> None:
    """Without T1c nothing is found: every Dice falls to 0; permuting it changes nothing."""
    facts, _, text = full
    rows = {row[0]: row for row in _rows(text, "contributions")}
    assert rows.keys() == {"WT", "TC", "ET"}
    dice = facts.parts["test"].evaluation.regions["WT"]["dice"].case_mean
    assert dice is not None
    assert rows["WT"][1:3] == ["T1 with contrast", f"{-dice:+.3f}"]
    assert rows["WT"][4:6] == ["-0.500", "+0.000"]


def test_every_part_is_there(full: tuple[SegmentationFacts, Path, str]) -> None:
    _, out, text = full
    assert _sections(text) == _SECTIONS
    assert set(_figures(text)) == _FIGURES
    assert {path.stem for path in (out / "figures").iterdir()} == _FIGURES
    for path in (out / "figures").iterdir():
        assert np.asarray(Pillow.open(path).convert("L")).std() > 0, f"{path.name} is blank"


def test_nothing_is_loaded_from_anywhere(full: tuple[SegmentationFacts, Path, str]) -> None:
    assert not re.findall(r'(?:src|href)="(?!data:|#)', full[2])


def test_figures_stand_with_their_intervals(full: tuple[SegmentationFacts, Path, str]) -> None:
    facts, _, text = full
    dice = facts.parts["test"].evaluation.regions["WT"]["dice"]
    assert dice.case_ci95 is not None
    low, high = dice.case_ci95
    rows = _rows(text, "results")
    assert rows[0][:4] == ["WT", "Dice", f"{dice.case_mean:.3f}", f"{low:.3f}–{high:.3f}"]
    assert f'<span class="value">{dice.case_mean:.3f}</span>' in text
    # two empty masks are no case of the mean: 8 cases, 7 count
    assert rows[0][-1] == "7"


def test_three_metrics_stand_before_all(full: tuple[SegmentationFacts, Path, str]) -> None:
    section = _section(full[2], "results")
    shown, every, validation = section.split("<table")[1:]
    assert [row.count("Dice</td>") + row.count("HD95") + row.count("Recall") for row in (shown,)] == [9]
    assert "Specificity" not in shown
    assert "Specificity" in every
    assert "<summary>All 25 figures of the test part</summary>" in section
    dice = full[0].parts["val"].evaluation.regions
    words = ", ".join(f"{region} {figures['dice'].case_mean:.3f}" for region, figures in dice.items())
    assert f"<summary>Validation part: Dice {words}</summary>" in section
    assert "Validation part: 3 cases" in validation


def test_surfaces_and_lesions_stand_where_they_say_something(
    full: tuple[SegmentationFacts, Path, str], tmp_path: Path
) -> None:
    # shifts of 0, 1, 2, 3, 0 and 1 voxels of 1 mm: a box's surface is that far off at most; two masks are empty
    rows = {tuple(row[1:3]): row for row in _rows(full[2], "surfaces") if row[0] == "test"}
    assert rows["WT", "HD95 (mm)"][3] == f"{(0 + 1 + 2 + 3 + 0 + 1) / 6:.2f}"
    assert "WT, test: 2 of 8" in _section(full[2], "surfaces")
    assert ["test", "WT", "Lesion sensitivity"] in [row[:3] for row in _rows(full[2], "lesions")]
    sound = {f"case-{number}": (reference(number), shifted(reference(number), 1)) for number in range(3)}
    facts = replace(full[0], parts={"test": part_scores(scored(sound))}, gallery=())
    assert "surfaces" in _sections(_write(facts, tmp_path))
    assert "lesions" not in _sections(_write(facts, tmp_path))


def test_the_worst_cases_have_their_reason(full: tuple[SegmentationFacts, Path, str]) -> None:
    notes = re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", _section(full[2], "gallery"))
    # the core of 5 x 5, moved by 2 of 5 columns; enhancing tumour is 2 wide
    words = "ET: 0.0160 ml predicted, none of it where the reference is (0.0160 ml); "
    words += "TC: 40% of 0.100 ml missed, 40% of the prediction lies outside, a small one"
    assert notes == [("case-2", words)]


def test_a_confidence_is_told_where_one_was_fitted(tmp_path: Path) -> None:
    good = CheckRecord(
        on="the test part", n_cases=40, n_patients=30, rank_correlation=0.71, ci95=(0.52, 0.83),
        area=0.081, area_best=0.06, area_chance=0.14,
    )  # fmt: skip
    facts = replace(full_run(), gallery=(), confidence_on="the validation part", confidence_checks=(good,))
    text = _write(facts, tmp_path)
    assert _rows(text, "confidence") == [["the test part", "40", "30", "0.710", "0.520–0.830", "0.081", "0.140"]]
    assert "fitted on the validation part" in _section(text, "confidence")
    assert "not shown" not in _section(text, "confidence")
    for interval in ((-0.1, 0.9), None):
        (said,) = of_no_use(good.model_copy(update={"ci95": interval}))
        assert "do not show that this confidence tells good masks from bad ones" in said.text


def _row(**figures: float | None) -> dict[str, str | int | float | None]:
    return {"case": "a", **{f"WT.{name}": value for name, value in figures.items()}}


@pytest.mark.parametrize(
    ("figures", "words"),
    [
        ({"dice": 0.0, "tp": 0, "fp": 0, "fn": 9, "volume_reference_ml": 9.0}, "nothing predicted, of 9.00 ml"),
        (
            {"dice": 0.0, "tp": 0, "fp": 5, "fn": 0, "volume_prediction_ml": 5.0},
            "5.00 ml predicted where the reference has none",
        ),
        (
            {"dice": 0.4, "tp": 1, "fp": 0, "fn": 3, "volume_reference_ml": 4.0, "volume_prediction_ml": 1.0},
            "75% of 4.00 ml missed",
        ),
        (
            {"dice": 0.7, "tp": 8, "fp": 0, "fn": 1, "volume_reference_ml": 9.0, "n_lesions": 3, "n_lesions_found": 1,
             "n_lesions_false": 2, "hd95": 61.2},
            "2 of 3 lesions missed, 2 false lesions, part of it far off (HD95 61 mm)",
        ),
        ({"dice": 0.9, "tp": 9, "fp": 1, "fn": 1, "volume_reference_ml": 10.0}, "borders alone, of 10.0 ml"),
        ({"dice": 0.9, "tp": 9, "fp": 1, "fn": 1, "volume_reference_ml": 0.3}, "a small one: 0.300 ml"),
        ({"dice": None, "tp": 0, "fp": 0, "fn": 0}, "both masks are empty"),
    ],
)  # fmt: skip
def test_why_a_dice_is_low(figures: dict[str, float | None], words: str) -> None:
    assert reason_of(_row(**figures), ["WT"], "ml") == words


def test_published_and_obtained_stand_side_by_side(full: tuple[SegmentationFacts, Path, str]) -> None:
    facts, _, text = full
    rows = {tuple(row[:2]): row for row in _rows(text, "published")}
    scored_as = facts.parts["test"].evaluation.as_published
    assert scored_as is not None
    obtained = scored_as.results[0].obtained["WT"]
    assert obtained is not None
    assert rows["Dice", "WT"][2:6] == ["0.700", f"{obtained:.3f}", f"{obtained - 0.7:+.3f}", "not comparable"]
    assert rows["Precision", "TC"][2:6] == ["–", rows["Precision", "TC"][3], "–", "not published"]
    assert ("Precision", "mean over regions") not in rows
    assert "another data set; 8 patients, fewer than 20" in text


def test_comparable_figures_are_called_so(tmp_path: Path) -> None:
    cases = {f"case-{number}": (reference(number), shifted(reference(number), 1)) for number in range(20)}
    facts = replace(bare_run(), parts={"test": part_scores(scored(cases), PROTOCOL)})
    text = _write(facts, tmp_path)
    assert {row[5] for row in _rows(text, "published")} == {"comparable", "not published"}
    assert "Not comparable" not in text


def test_cases_sort_by_their_numbers(full: tuple[SegmentationFacts, Path, str]) -> None:
    facts, _, text = full
    rows = {row[0]: row for row in _rows(text, "cases")}
    assert len(rows) == 11
    assert rows["case-missed"][-1] == "WT: nothing predicted; TC: nothing predicted; ET: nothing predicted"
    assert rows["case-empty"][4] == "–"
    assert 'data-sort="-1.7976931348623157e+308">–' in _section(text, "cases")
    first = next(row for row in facts.parts["test"].rows if row["case"] == "case-1")
    assert rows["case-1"][1:5] == ["patient case-1", "test", "4", f"{first['WT.dice']:.3f}"]
    # 9 x 9 pixels in two slices of 2 mm: 324 cubic millimetres
    assert rows["case-1"][7] == "0.324"


def test_epochs_count_from_one_and_the_best_is_marked(full: tuple[SegmentationFacts, Path, str]) -> None:
    rows = _rows(full[2], "epochs")
    assert [row[0] for row in rows] == [*map(str, range(1, 10)), "10 best", "11", "12"]
    assert rows[0][3] == f"{log(12)[0].figure('val_dice'):.3f}"


def _published_log() -> list[LogRow]:
    """Two epochs as the log has them, the second as the publication's 16th."""
    of_epoch = [
        {"dice by slice": {"mean": 0.219, "NCR": 0.006, "ED": 0.41, "ET": 0.241}, "recall by batch": {"NCR": None}},
        {"dice by slice": {"mean": 0.581, "NCR": 0.562, "ED": 0.46, "ET": 0.721}, "recall by batch": {"NCR": 0.285}},
    ]
    rows = log(2, regions=("NCR", "ED", "ET"))
    return [replace(row, figures={**row.figures, "as_published": own}) for row, own in zip(rows, of_epoch, strict=True)]


_VALIDATED = PublishedProtocol.model_validate(
    {
        "source": "rc-9/BraTS_UNet v1",
        "grid": "working",
        "slices": "recipe",
        "batch": 4,
        "figures": [
            {"part": "val", "metric": "dice", "unit": "slice", "empty": "both_empty_1", "values": {}},
            {"part": "val", "metric": "recall", "unit": "batch", "empty": "zero", "values": {"NCR": 0.208}},
        ],
    }
)


def test_epochs_stand_there_in_the_publication_s_own_rules_too(tmp_path: Path) -> None:
    run = replace(full_run(), log=_published_log(), best_epoch=1, keep="last", followed=_VALIDATED)
    text = _write(run, tmp_path)
    rows = _rows(text, "epochs")
    own, published = rows[:2], rows[2:]
    assert [row[0] for row in own] == [row[0] for row in published] == ["1", "2 kept"]
    assert [row[3:] for row in published] == [
        ["0.219", "0.006", "0.410", "0.241", "–"],
        ["0.581", "0.562", "0.460", "0.721", "0.285"],
    ]
    assert "as published by rc-9/BraTS_UNet v1: dice by slice (both empty = 1), recall by batch (0/0 = 0)" in text
    assert "Epoch that was kept" in text
    assert "Best epoch" not in text


def test_a_run_from_before_epochs_were_scored_so_has_one_table(tmp_path: Path) -> None:
    text = _write(replace(full_run(), followed=_VALIDATED), tmp_path)
    assert len(_rows(text, "epochs")) == 12


def test_recipe_machine_and_conventions_are_told(full: tuple[SegmentationFacts, Path, str]) -> None:
    text = full[2]
    assert "width = 16 # &lt;wide&gt;" in _section(text, "recipe")
    assert "The smoothing of the Dice loss is not stated" in _section(text, "recipe")
    assert "a processor" in _section(text, "machine")
    assert "2.8 min" in _section(text, "machine")
    conventions = _section(text, "conventions")
    assert "where a ratio is 0/0 it is left out of means" in conventions
    assert "native, all slices" in conventions
    assert text.count("For research use only; not a medical device.") >= 3


def test_the_baseline_stands_beside_the_network(full: tuple[SegmentationFacts, Path, str]) -> None:
    text = full[2]
    assert "Baseline, WT" in text
    assert "best threshold on FLAIR, test" in text


def test_a_split_by_slice_is_called_a_leak_in_red(tmp_path: Path) -> None:
    parts = {"train": PartCounts(9, 30, 30), "val": PartCounts(9, 8, 8), "test": PartCounts(9, 12, 12)}
    text = _write(replace(bare_run(), split=SplitFacts(parts, unit="slice", seed=1)), tmp_path)
    assert text.count('class="prose error"') == 2
    assert "Such figures leak" in text
    assert '<div class="tile error">' in text
    assert "30 slices for training" in text


@pytest.mark.parametrize(("unit", "tile"), [("picture", "Pictures"), ("case", "Cases")])
def test_unknown_patients_are_said(tmp_path: Path, unit: SplitUnit, tile: str) -> None:
    """Volumes whose patients are not known are no pictures."""
    parts = {"train": PartCounts(30, 30, 30), "val": PartCounts(8, 8, 8)}
    text = _write(replace(bare_run(), split=SplitFacts(parts, unit=unit)), tmp_path)
    assert f"It is not known which {unit}s belong to the same patient" in text
    assert f"30 {unit}s for training" in text
    assert f">{tile}<" in text
    assert 'class="prose error"' not in text


@pytest.mark.parametrize(
    ("unit", "counts"),
    [
        ("patient", "2 cases of 2 patients, 8 slices"),
        ("slice", "8 slices of 1 patient, each a case of its own"),
        ("case", "2 cases, 8 slices"),
    ],
)
def test_what_a_table_of_results_counts(tmp_path: Path, unit: SplitUnit, counts: str) -> None:
    cases = {name: (reference(number), reference(number)) for number, name in enumerate(("one", "two"))}
    split = SplitFacts({"train": PartCounts(3, 9, 9), "test": PartCounts(1, 2, 8)}, unit=unit)
    text = _write(replace(bare_run(), split=split, parts={"test": part_scores(scored(cases))}), tmp_path)
    assert f"Test part: {counts}." in text


def test_a_low_score_is_not_green(tmp_path: Path) -> None:
    """A colour judges, and what is good depends on the task."""
    parts = {"test": part_scores(scored({"one": (reference(0), shifted(reference(0), 3))}))}
    text = _write(replace(bare_run(), parts=parts), tmp_path)
    assert 'class="tile good"' not in text


def test_the_page_says_what_it_was_trained_on_before_what_the_recipe_is_for(tmp_path: Path) -> None:
    facts = bare_run()
    recipe = replace(facts.recipe, name="demo", about="WT on BraTS")
    text = _write(replace(facts, recipe=recipe), tmp_path)
    assert f"Trained on {facts.data.cohort}" in text
    assert "Recipe demo: WT on BraTS." in text


def test_a_run_that_has_just_begun(tmp_path: Path) -> None:
    text = _write(bare_run(), tmp_path)
    assert _sections(text) == ["results", "data", "recipe", "conventions"]
    assert not _figures(text)
    assert "no epoch has ended" in text


def test_a_run_without_validation_so_far(tmp_path: Path) -> None:
    text = _write(replace(bare_run(), log=log(2, every=5), n_epochs=10), tmp_path)
    assert _figures(text) == ["losses", "learning-rate"]
    assert "2 of 10 epochs so far" in text
    assert _rows(text, "epochs")[1][:4] == ["2", _rows(text, "epochs")[1][1], "–", "–"]


def test_figures_that_are_undefined(tmp_path: Path) -> None:
    undefined = {"val_dice": 0.0, "regions": {"tumour": dict.fromkeys(("dice", "precision", "recall"))}}
    rows = [replace(row, figures=undefined) for row in log(3)]
    text = _write(replace(bare_run(), log=rows, best_epoch=0), tmp_path)
    assert "regions-by-epoch" in _figures(text)
    assert _rows(text, "epochs")[0][-2:] == ["–", "–"]


def test_one_case_and_no_test_part(tmp_path: Path) -> None:
    parts = {"val": part_scores(scored({"one": (reference(0), shifted(reference(0), 1))}))}
    text = _write(replace(bare_run(), parts=parts, log=log(1), best_epoch=0), tmp_path)
    assert "There is no test part. The best epoch was chosen on the validation part" in text
    text = _write(replace(bare_run(), parts=parts, log=log(1), best_epoch=0, keep="last"), tmp_path)
    assert "The last epoch was kept, so the validation part has picked none." in text
    assert "best epoch was chosen" not in text
    assert _rows(text, "results")[0][3] == "–"
    assert {"dice-by-case", "volumes", "volume-differences", "scores"} <= set(_figures(text))


def test_a_test_part_that_waits(tmp_path: Path) -> None:
    facts = full_run()
    text = _write(replace(facts, parts={"val": facts.parts["val"]}, gallery=(), log=(), network=None), tmp_path)
    assert "The test part has not been evaluated." in text


def test_cases_of_empty_masks_only(tmp_path: Path) -> None:
    one = reference(0)
    empty = replace(one, array=np.zeros_like(one.array))
    text = _write(replace(bare_run(), parts={"test": part_scores(scored({"one": (empty, empty)}))}), tmp_path)
    assert not _figures(text)
    assert _rows(text, "results")[0][2] == "–"


def test_nothing_stale_stays(tmp_path: Path) -> None:
    facts = replace(bare_run(), network=NetworkFacts("U-Net", tuple(unet_levels(8, 2, 32, 1, 1, attention=False))))
    assert _figures(_write(facts, tmp_path)) == ["architecture"]
    (tmp_path / "figures" / "mine.png").write_bytes(b"a picture of the user's own")
    _write(bare_run(), tmp_path)
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {"mine.png"}


def test_the_same_run_gives_the_same_page(tmp_path: Path) -> None:
    facts = replace(full_run(), log=log(3), weight_maps=(), network=None, parts={})
    facts = replace(facts, gallery=facts.gallery[:2])
    assert _write(facts, tmp_path / "one") == _write(facts, tmp_path / "other")


def test_progress_ends_where_it_says(tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    facts = bare_run()
    page = segmentation_page(facts, tmp_path / FIGURES)
    write_run_report(facts, page, tmp_path, progress=lambda done, total: steps.append((done, total)))
    n_sections = len(page.sections)  # of which a run that has just begun shows some
    assert [done for done, _ in steps] == list(range(1, n_sections + 1))
    assert {total for _, total in steps} == {n_sections}


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(FileError):
        _write(bare_run(), tmp_path / "file")


def test_of_tissues_the_first_is_outlined_and_nothing_speaks_of_tumour(
    full: tuple[SegmentationFacts, Path, str], tmp_path: Path
) -> None:
    facts, _, of_tumour = full
    tissues = replace(facts, data=replace(facts.data, marked="tissue"), outlined=(next(iter(facts.data.regions)),))
    text = _write(tissues, tmp_path)
    first = tissues.outlined[0]
    for words in ("With tissue", "Tissue voxels (%)", f"Slices without {first}", f"reference of {first} outlined"):
        assert words in text, words
    assert "Slices without tumour" not in text
    assert "With tumour" not in text
    assert "With tumour" in of_tumour
