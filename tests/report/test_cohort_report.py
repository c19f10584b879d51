"""The report of a cohort holds what was found, and survives what cannot be read."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from PIL import Image as Pillow

from glioseg.cohorts.description import CohortDescription, DuplicateGroup
from glioseg.cohorts.summary import QUANTILES, CaseSummary
from glioseg.core import Case, Cohort, Finding, LabelScheme, Source, scheme_named
from glioseg.errors import FileError
from glioseg.report import style
from glioseg.report.cohort import write_cohort_report
from glioseg.report.figures import scans
from glioseg.report.figures.render import draw
from glioseg.report.figures.scans import Exhibit
from glioseg.report.figures.views import Cut
from glioseg.report.html import Picture, Table
from glioseg.report.parts.intensities import intensity, middle_spread
from glioseg.report.parts.plan import colours_in, plan, regions_of
from glioseg.report.parts.scans import drawing_of
from glioseg.report.pixels import SliceRequest, read_slices
from tests.report.made import description, picture_cohort, quick, tumour, volume_cohort

_DAY = date(2024, 5, 17)


def _write(cohort: Cohort, about: CohortDescription, out: Path) -> str:
    return write_cohort_report(cohort, about, out, written_on=_DAY).read_text(encoding="utf-8")


def _sections(text: str) -> list[str]:
    return re.findall(r'<section class="part" id="([a-z-]+)"', text)


def _figures(text: str) -> list[str]:
    return re.findall(r'id="figure-([a-z0-9-]+)"', text)


def _png(out: Path) -> set[str]:
    return {path.stem for path in (out / "figures").iterdir()}


@pytest.fixture(scope="module")
def volumes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Cohort, CohortDescription, Path, str]:
    """A labelled cohort of two cases, its description, where its report is, and the page."""
    folder = tmp_path_factory.mktemp("volumes")
    cohort = volume_cohort(folder)
    about = description(cohort, tumour(1, 2, 4), [Finding("warning", "missing-modality", "<t1c> & t2w lack", "one")])
    return cohort, about, folder / "out", _write(cohort, about, folder / "out")


def test_every_part_is_there(volumes: tuple[Cohort, CohortDescription, Path, str]) -> None:
    _, _, out, text = volumes
    assert _sections(text) == [
        "findings", "contents", "gallery", "anatomy", "diagnoses", "tumours", "intensities", "dark", "facts", "cases",
        "conventions",
    ]  # fmt: skip
    expected = {
        "gallery-positive", "gallery-negative", "planes", "modalities", "regions", "diagnoses", "imbalance",
        "tumour-sizes", "slice-shares", "region-sizes", "tumour-places", "intensities", "intensities-by-case",
        "intensities-by-slice", "correlation", "dark-shares", "dark-filter", "dark-slices", "facts",
    }  # fmt: skip
    assert set(_figures(text)) == expected
    assert _png(out) == expected
    for path in (out / "figures").iterdir():
        assert np.asarray(Pillow.open(path).convert("L")).std() > 0, f"{path.name} is blank"


def test_a_montage_goes_through_one_case(volumes: tuple[Cohort, CohortDescription, Path, str]) -> None:
    """From the first slice that the modality shows to the last, evenly; stacks of few slices have none."""
    about = volumes[1]
    assert plan(about).montage == ()
    every = np.ones(42, dtype=np.float32)
    shown = np.array([0, 0, *[0.4] * 38, 0, 0], dtype=np.float32)
    cases = tuple(
        replace(
            case,
            shape=(12, 10, 42),
            slices=replace(case.slices, seen={**dict.fromkeys(case.modalities, every), "t2f": shown}),
        )
        for case in about.cases
    )
    slices = [request.index for request in plan(replace(about, cases=cases, dark_slices={})).montage]
    assert (len(slices), slices[0], slices[-1]) == (18, 2, 39)
    assert set(np.diff(slices)) <= {2, 3}


def test_findings_come_first_and_are_escaped(volumes: tuple[Cohort, CohortDescription, Path, str]) -> None:
    text = volumes[3]
    assert "&lt;t1c&gt; &amp; t2w lack" in text
    assert "<t1c>" not in text
    assert '<span class="badge warning">warning</span>' in text


def test_conventions_are_stated(volumes: tuple[Cohort, CohortDescription, Path, str]) -> None:
    text = volumes[3]
    assert "Radiological convention" in text
    assert "For research use only; not a medical device." in text
    assert "2024-05-17" in text


def test_facts_for_machines_lie_beside_the_page(volumes: tuple[Cohort, CohortDescription, Path, str]) -> None:
    _, about, out, _ = volumes
    assert json.loads((out / "inspect.json").read_text(encoding="utf-8")) == json.loads(json.dumps(about.to_json()))
    with (out / "cases.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["case"] for row in rows] == ["one", "two"]
    # two voxels by two slices of each label, 2 mm^3 each
    assert rows[0]["voxels_NCR"] == rows[0]["voxels_ET"] == "4"
    assert float(rows[0]["tumour_ml"]) == pytest.approx(0.024)
    assert rows[1]["age"] == "51"


def test_outlines_and_masks_are_where_the_reference_is(volumes: tuple[Cohort, CohortDescription, Path, str]) -> None:
    cohort, about, _, _ = volumes
    wanted = plan(about).gallery["positive"][0]
    shown = read_slices(cohort, [wanted])[wanted]
    assert shown.labels is not None
    # the grid grows to the left and to posterior: columns and rows lie as they are stored
    assert np.array_equal(shown.labels.pixels, tumour(1, 2, 4)[:, :, 3].T)
    assert shown.main.marks == ("R", "L", "A", "P")
    assert shown.main.spacing == (1.0, 1.0)


def test_nothing_stale_stays(volumes: tuple[Cohort, CohortDescription, Path, str], tmp_path: Path) -> None:
    cohort, about, _, _ = volumes
    few = quick(about)
    first = set(_figures(_write(cohort, few, tmp_path)))
    (tmp_path / "figures" / "mine.png").write_bytes(b"a picture of the user's own")
    second = set(_figures(_write(cohort, replace(few, facts=(), gallery=()), tmp_path)))
    assert first - second == {"facts", "gallery-positive"}
    assert _png(tmp_path) == second | {"mine"}


@pytest.mark.slow
def test_the_same_cohort_gives_the_same_page(
    volumes: tuple[Cohort, CohortDescription, Path, str], tmp_path: Path
) -> None:
    cohort, about, _, text = volumes
    assert _write(cohort, about, tmp_path) == text


def test_progress_ends_where_it_says(volumes: tuple[Cohort, CohortDescription, Path, str], tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    cohort, about, _, _ = volumes
    write_cohort_report(cohort, quick(about), tmp_path, progress=lambda done, total: steps.append((done, total)))
    done = [step[0] for step in steps]
    assert done == sorted(set(done))
    assert steps[-1][0] == steps[-1][1]
    assert len({total for _, total in steps}) == 1


def test_cases_that_cannot_be_read_are_passed_over(tmp_path: Path) -> None:
    cohort = volume_cohort(tmp_path)
    about = description(cohort, tumour(1, 2, 4))
    for path in (*cohort.cases[0].images["t1n"].paths, *cohort.cases[0].images["t2f"].paths):
        path.write_bytes(b"not a scan")
    labels = cohort.cases[1].labels
    assert labels is not None
    labels.paths[0].unlink()
    text = _write(cohort, quick(about), tmp_path / "out")
    assert "gallery-positive" in _figures(text)
    assert "regions" not in _figures(text)  # no reference can be read any more
    shown = read_slices(cohort, plan(about).requests)
    assert {one.case for one in shown} == {"two"}
    assert all(slice_.labels is None for slice_ in shown.values())


def test_no_case_can_be_read(tmp_path: Path) -> None:
    cohort = volume_cohort(tmp_path, ["one"])
    about = description(cohort)
    broken = replace(
        about.cases[0], shape=None, spacing=None, orientation=None, modalities={}, has_reference=False,
        slices=replace(about.cases[0].slices, non_black=np.zeros(0, dtype=np.float32)),
    )  # fmt: skip
    nothing = replace(
        about, cases=(broken,), raw={}, normalised={}, views=(), gallery=(), dark=(), dark_slices={}, facts=(),
        correlation=np.full((2, 2), np.nan),
    )  # fmt: skip
    for path in cohort.cases[0].images["t1n"].paths:
        path.unlink()
    text = _write(cohort, nothing, tmp_path / "out")
    assert _sections(text) == ["findings", "contents", "cases", "conventions"]
    assert "unreadable" in text


def test_a_cohort_without_labels(tmp_path: Path) -> None:
    cohort = replace(volume_cohort(tmp_path), scheme=None)
    cohort = replace(cohort, cases=tuple(replace(case, labels=None) for case in cohort.cases))
    text = _write(cohort, replace(description(cohort), raw={}, facts=()), tmp_path / "out")
    assert {"gallery", "planes", "modalities", "dark-shares"} <= set(_figures(text))
    assert not {"diagnoses", "tumour-sizes", "imbalance", "regions", "gallery-positive"} & set(_figures(text))


def test_one_case_with_one_modality(tmp_path: Path) -> None:
    cohort = volume_cohort(tmp_path, ["only"], modalities=["t2f"])
    about = replace(description(cohort, tumour(1, 2, 4)), dark=(), facts=(), heat=())
    figures = set(_figures(_write(cohort, about, tmp_path / "out")))
    assert {"gallery-positive", "planes", "regions", "region-sizes", "intensities-by-slice"} <= figures
    assert not {"tumour-sizes", "intensities-by-case", "correlation", "modalities"} & figures


def test_pictures_of_classes(tmp_path: Path) -> None:
    cohort = picture_cohort(tmp_path, {"no": 3, "yes & <b>": 14})
    group = DuplicateGroup(("no_0", "yes & <b>_0"), "exact", 1.0, ("no", "yes & <b>"), ("no_0", "yes & <b>_0"))
    about = replace(description(cohort), duplicates=(group,))
    text = _write(cohort, about, tmp_path / "out")
    assert {"class-1", "class-2", "classes", "picture-sizes", "duplicates"} <= set(_figures(text))
    assert "Class yes &amp; &lt;b&gt;" in text
    assert "12 pictures of 14" in text
    assert "labelled wrongly" in text
    assert "<b>" not in text
    assert "dark" not in _sections(text)


def test_colour_pictures_keep_their_colours(tmp_path: Path) -> None:
    cohort = picture_cohort(tmp_path, {"no": 1})
    wanted = plan(description(cohort)).classes["no"][0]
    pixels = read_slices(cohort, [wanted])[wanted].main.pixels
    assert np.array_equal(pixels, np.asarray(Pillow.open(tmp_path / "0_0.png")))


@pytest.mark.slow
def test_a_large_cohort_reads_few_cases_and_lists_them_all(tmp_path: Path) -> None:
    cohort = volume_cohort(tmp_path, ["one"], modalities=["t2f"])
    about = description(cohort, tumour(1, 2, 4))
    names = [f"case{number:04d}" for number in range(1251)]
    cases = tuple(replace(about.cases[0], case=name, patient=name) for name in names)
    gallery = tuple(replace(one, case=name) for name in names for one in about.gallery)
    large = replace(
        replace(about, heat=(), facts=()),
        cases=cases,
        gallery=gallery,
        views=tuple(replace(about.views[0], case=name) for name in names),
    )
    many = Cohort("made", "brats", "made", _copies(cohort.cases[0], names), cohort.modalities, cohort.scheme)
    assert len({one.case for one in plan(large).requests}) <= 40
    text = _write(many, large, tmp_path / "out")
    assert len(text) < 3_000_000
    assert text.count("<tr>") > 1251


def _copies(case: Case, names: Sequence[str]) -> tuple[Case, ...]:
    return tuple(replace(case, id=name, patient=name) for name in names)


def test_very_long_tables_say_what_they_leave_out(tmp_path: Path) -> None:
    cohort = volume_cohort(tmp_path, ["one"], modalities=["t2f"])
    findings = [Finding("note", "empty-mask", f"number {number}") for number in range(3001)]
    text = _write(cohort, quick(description(cohort, tumour(1), findings)), tmp_path / "out")
    assert "The first 3,000 of 3,001 are listed; inspect.json has all of them." in text
    assert "number 2999" in text


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    cohort = volume_cohort(tmp_path)
    (tmp_path / "out").write_text("a file where the folder should be")
    with pytest.raises(FileError, match="cannot be written"):
        write_cohort_report(cohort, description(cohort, tumour(1)), tmp_path / "out")


def test_slices_that_are_not_there_are_passed_over(tmp_path: Path) -> None:
    cohort = volume_cohort(tmp_path)
    assert read_slices(cohort, [SliceRequest("one", 99), SliceRequest("one", -1), SliceRequest("nobody", 0)]) == {}


def test_a_missing_modality_leaves_its_panel_empty(tmp_path: Path) -> None:
    cohort = volume_cohort(tmp_path)
    first = replace(cohort.cases[0], images={"t2f": cohort.cases[0].images["t2f"]})
    cohort = replace(cohort, cases=(first, cohort.cases[1]))
    wanted = SliceRequest("one", 3)
    assert set(read_slices(cohort, [wanted])[wanted].pictures) == {"t2f"}
    about = quick(description(cohort, tumour(1)))
    assert "modalities" in _figures(_write(cohort, about, tmp_path / "out"))


def test_a_modality_on_another_grid_is_not_shown_beside_the_rest(tmp_path: Path) -> None:
    cohort = volume_cohort(tmp_path)
    other = picture_cohort(tmp_path, {"no": 1}).cases[0].images["red"]
    mixed = replace(cohort.cases[0], images={**cohort.cases[0].images, "t1n": Source(other.paths, "raster", 0)})
    wanted = SliceRequest("one", 3, 2, ("t2f", "t1n"))
    shown = read_slices(replace(cohort, cases=(mixed,)), [wanted])[wanted]
    assert set(shown.pictures) == {"t2f"}


def test_tumours_are_outlined_in_red_and_tissues_in_their_own_colours(tmp_path: Path) -> None:
    brats, lgg, tissues = (drawing_of(scheme_named(name)) for name in ("brats2021", "lgg", "ibsr"))
    assert brats is not None
    assert lgg is not None
    assert tissues is not None
    assert brats.outlines == (((1, 2, 4), style.REFERENCE),)
    assert brats.colours[4] == style.region_colour("ET")
    assert lgg.legend == (("reference", style.REFERENCE),)
    assert [values for values, _ in tissues.outlines] == [(1,), (2,), (3,)]
    assert drawing_of(None) is None


_OWN = LabelScheme(
    "own",
    {"oedema": 1, "core": 2, "cyst": 3},
    {"whole": ("oedema", "core", "cyst"), "Core": ("core",)},
    ("whole", "Core"),
)


def test_labels_and_regions_of_one_figure_differ_in_colour() -> None:
    """Regions and labels were numbered each for themselves: the first region was blue, and so was the first label."""
    colours = colours_in(_OWN)
    assert len({colours[name] for name in ("whole", "oedema", "core", "cyst")}) == 4
    assert colours["Core"] == colours["core"]
    drawing = drawing_of(_OWN)
    assert drawing is not None
    assert dict(drawing.colours) == {1: colours["oedema"], 2: colours["core"], 3: colours["cyst"]}
    labels = np.zeros((30, 30), dtype=np.uint8)
    labels[4:12], labels[14:20] = 1, 3
    cut = Cut(np.full((30, 30), 50, dtype=np.uint8), (1.0, 1.0), None)
    exhibit = Exhibit((cut,), (Cut(labels, (1.0, 1.0), None),), "case")
    drawn = draw(scans.region_overlays([exhibit], regions_of(_OWN), colours, drawing))
    assert all((drawn == style.rgb(colours[name])).all(axis=2).any() for name in ("whole", "oedema", "core", "cyst"))


def test_a_cyst_has_a_colour_of_its_own() -> None:
    children = scheme_named("brats2024-ped")
    assert len({colours_in(children)[name] for name in ("WT", "TC", "ET", "NET", "CC", "ED")}) == 6


def test_a_plane_that_is_missing_leaves_its_place_empty() -> None:
    cut = Cut(np.full((30, 30), 50, dtype=np.uint8), (1.0, 1.0), None)
    figure = scans.planes([Exhibit((cut, None, cut), (None,) * 3, "case")], ["Axial", "Coronal", "Sagittal"], None)
    places = {text.get_text(): text.get_position()[0] for text in figure.axes[0].texts}
    assert places["Axial"] < places["not acquired"] == places["Coronal"] < places["Sagittal"]


def test_copies_of_both_kinds_are_shown_those_across_classes_first(tmp_path: Path) -> None:
    cohort = picture_cohort(tmp_path, {"no": 8, "yes": 8})

    def group(first: str, second: str, kind: Literal["exact", "near"]) -> DuplicateGroup:
        return DuplicateGroup((first, second), kind, 0.98, tuple(sorted({first[:2], second[:2]})), (first, second))

    groups = (
        group("no_0", "no_1", "exact"),
        group("no_2", "no_3", "exact"),
        group("no_4", "no_5", "near"),
        group("no_6", "yes_0", "near"),
    )
    copies = plan(replace(description(cohort), duplicates=groups)).copies
    assert [shown.cases[0] for shown, _ in copies] == ["no_6", "no_0", "no_4", "no_2"]
    assert [one.case for one in copies[0][1]] == ["no_6", "yes_0"]


def test_dark_slices_with_tumour_are_shown_before_others(tmp_path: Path) -> None:
    cohort = volume_cohort(tmp_path, ["one"], modalities=["t2f"])
    about = replace(description(cohort, tumour(1)), dark_slices={"one": (0, 1, 4, 5)})
    assert [one.index for one in plan(about).gallery["dark"]] == [4, 0, 1, 5]
    many = replace(about, cases=(replace(about.cases[0], has_mm=False),), dark_slices={"one": (4, *range(100, 200))})
    shown = [one.index for one in plan(many).gallery["dark"]]
    assert shown[0] == 4
    assert (len(shown), shown[1], shown[-1]) == (24, 100, 199)


def _with_places(about: CohortDescription, orientation: str, medians: np.ndarray, place: int) -> CaseSummary:
    case = about.cases[place]
    table = np.repeat(medians.astype(np.float32)[:, None], len(QUANTILES), axis=1)
    return replace(case, orientation=orientation, modalities={"t2f": replace(case.modalities["t2f"], by_place=table)})


def test_slices_of_all_cases_are_laid_the_same_way_up(tmp_path: Path) -> None:
    """From the feet 0 to 19 in one case; 10 to 29 in one stored from the top; the third shows nothing at the ends."""
    about = description(volume_cohort(tmp_path, ["one", "two", "three"], modalities=["t2f"]), tumour(1))
    up = np.arange(20.0)
    ends = np.where((up == 0) | (up == 19), np.nan, up + 100)
    tables = [("LPS", up), ("RAI", up[::-1] + 10), ("LPS", ends)]
    cases = [_with_places(about, codes, medians, place) for place, (codes, medians) in enumerate(tables)]
    spread = middle_spread(cases, "t2f")
    assert spread is not None
    assert spread[:, 0].tolist() == [5.0, *(up[1:-1] + 10), 24.0]
    assert middle_spread(cases, "t1c") is None


def test_cases_sliced_in_another_direction_are_counted(tmp_path: Path) -> None:
    about = description(volume_cohort(tmp_path, ["one", "two", "three"], modalities=["t2f"]), tumour(1))
    cases = tuple(_with_places(about, codes, np.arange(20), place) for place, codes in enumerate(("LPS", "LPI", "SLA")))
    section = intensity(replace(about, cases=cases), tmp_path / "figures")
    (caption,) = (
        block.caption for block in section.blocks if isinstance(block, Picture) and block.name.endswith("by-slice")
    )
    assert "(0 %, inferior) to the last (100 %, superior)" in caption
    assert "Each is the median of 2 cases" in caption
    assert "1 case sliced in another direction left out" in caption


@pytest.mark.parametrize(("r", "shown"), [(1.0, ["grey"]), (0.9995, ["grey"]), (0.98, ["red", "green", "blue"])])
def test_equal_colours_are_one_grey(tmp_path: Path, r: float, shown: list[str]) -> None:
    cohort = replace(picture_cohort(tmp_path, {"no": 2, "yes": 2}), modalities=("red", "green", "blue"))
    about = description(cohort)
    correlation = np.full((3, 3), r)
    cases = tuple(
        replace(case, modalities=dict.fromkeys(cohort.modalities, next(iter(case.modalities.values()))))
        for case in about.cases
    )
    section = intensity(replace(about, correlation=correlation, cases=cases), tmp_path / "figures")
    assert {path.stem for path in (tmp_path / "figures").glob("*.png")} >= {"intensities"}
    tables = [block for block in section.blocks if isinstance(block, Table)]
    assert [row[0].text for table in tables for row in table.rows] == ([] if shown == ["grey"] else shown)
    assert (tmp_path / "figures" / "correlation.png").exists() == (len(shown) > 1)
