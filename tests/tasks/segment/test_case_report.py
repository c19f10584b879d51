"""The report of a case, and its BIDS derivatives: what they say, and that a page is one page."""

from __future__ import annotations

import csv
import json
import re
import zlib
from pathlib import Path
from typing import Any, Literal

import matplotlib as mpl
import nibabel
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from glioseg.core import Case, Grid, Image, LabelMap, LabelScheme, Source
from glioseg.core.schemes import scheme_named
from glioseg.errors import OptionError
from glioseg.evaluation.diameters import measure_diameters
from glioseg.inference.bundle import BundleInfo, load_bundle
from glioseg.inference.options import PredictOptions
from glioseg.inference.shipped import SHIPPED
from glioseg.preparation.options import PrepareOptions
from glioseg.report.case import _Sheet
from glioseg.report.figures.diameters import _places
from glioseg.report.figures.sections import section_at
from glioseg.tasks.segment.bids import BidsName, write_derivative
from glioseg.tasks.segment.case_report import ReportedCase, done_words, write_report
from glioseg.tasks.segment.explained import explanation_files
from glioseg.tasks.segment.forms import form_files, require_forms, write_forms
from glioseg.tasks.wanted import Wanted

SHAPE, SPACING = (40, 36, 10), (1.0, 1.5, 3.0)
SCHEME = scheme_named("brats2023")


@pytest.fixture(scope="module")
def info() -> BundleInfo:
    return load_bundle(SHIPPED["phantom"].folder).info


def _labels(affine: np.ndarray[Any, Any] | None = None, side: int = 20) -> LabelMap:
    array = np.zeros(SHAPE, np.uint8)
    array[6 : 6 + side, 6:26, 3:7] = 2
    array[8 : 8 + side - 4, 8:24, 3:7] = 3
    return LabelMap(array, SCHEME, Grid(SHAPE, np.diag([*SPACING, 1.0]) if affine is None else affine))


def _reported(info: BundleInfo, labels: LabelMap, **more: Any) -> ReportedCase:
    scan = np.random.default_rng(0).normal(100, 10, (2, *SHAPE)).astype(np.float32)
    image = Image(scan, ("t2f", "t1c"), labels.grid)
    diameters = measure_diameters(labels) if labels.grid.has_mm else None
    facts = {
        "case": "case-1", "warnings": ["ET is undecided"], "volumes": {"unit": "ml", "WT": 7.2, "ET": 4.6},
        "grid": {"shape": list(SHAPE), "spacing_mm": list(SPACING), "orientation": "RAS"},
        "inputs": {"t2f": {"files": ["/home/plantedfolder/Plantedname.nii.gz"], "channel": None}},
        "diameters": None if diameters is None else diameters.to_json(), **more,
    }  # fmt: skip
    return ReportedCase("case-1", image, labels, ("WT", "ET"), diameters, facts, (info,))


def _pdf_text(path: Path) -> tuple[str, int]:
    """What is drawn in letters, without the spaces between words, and the number of pages."""
    content = path.read_bytes()
    streams = []
    for found in re.finditer(rb"stream\r?\n", content):
        try:
            streams.append(zlib.decompress(content[found.end() :]).decode("latin-1"))
        except zlib.error:
            continue
    drawn = "".join("".join(re.findall(r"\((.*?)(?<!\\)\)", stream)) for stream in streams if "BT" in stream)
    return drawn.replace("\\", ""), len(re.findall(rb"/Type /Page\b", content))


def test_one_page_for_people(info: BundleInfo, tmp_path: Path) -> None:
    """Enhancing 16 × 16 voxels of 1 × 1.5 mm: 16 × 24 mm, both diagonals √(16² + 24²) = 28.8 mm long …

    … at no right angle, though: across one of them one gets 16 · 28.84 / 24 = 19.2 mm.
    """
    names = write_report(_reported(info, _labels()), tmp_path, "case-1")
    assert names == ["case-1.png", "case-1.html", "case-1.pdf"]
    page = (tmp_path / "case-1.html").read_text(encoding="utf-8")
    text, n_pages = _pdf_text(tmp_path / "case-1.pdf")
    assert n_pages == 1
    expected = ("28.8 × 19.2 mm", "7.20 ml", "research use only", "ET is undecided", "Apache-2.0", "Wen et al.")
    for words in (*expected, "enhancing tumour", "whole tumour: "):
        assert words.lower() in page.lower(), words
    for words in ("7.20ml", "researchuseonly", "ETisundecided", "Apache-2.0", "Wenetal."):
        assert words.lower() in text.replace(" ", "").lower(), words
    said = re.sub(r"base64,[^\"]*", "", page).lower() + text.lower()
    assert "planted" not in said, "names of files and folders may be names of people"


def test_tex_sets_no_report(info: BundleInfo, tmp_path: Path) -> None:
    """A person's ``matplotlibrc`` may say that TeX sets all text; a file called a_b is none."""
    with mpl.rc_context({"text.usetex": True}):
        write_report(_reported(info, _labels(), warnings=["a_b & 50 %"]), tmp_path, "case-1")
    text, _ = _pdf_text(tmp_path / "case-1.pdf")
    assert "a_b&50%" in text.replace(" ", "")


def test_what_does_not_fit_goes_on_to_further_pages(info: BundleInfo, tmp_path: Path) -> None:
    """Warnings above all, and every line of them; each page names the case, its use and its number."""
    warnings = [f"number{n} goes on and on, hyphen-ated, and comes to its end{n}end" for n in range(150)]
    write_report(_reported(info, _labels(), warnings=warnings), tmp_path, "case-1")
    text, n_pages = _pdf_text(tmp_path / "case-1.pdf")
    said = text.replace(" ", "")
    assert [n for n in range(150) if f"number{n}goesonandon," not in said or f"end{n}end." not in said] == []
    assert said.count("hyphen-ated") >= 150 - n_pages  # a line may end there where a page ends
    for words in ("Whatwasdonetothescan", "Apache-2.0", "Wenetal."):
        assert words in said, words
    assert n_pages > 1
    assert said.count("gliosegcasereport") == said.count("Drawnbyacomputer") == n_pages
    assert [number for number in range(1, n_pages + 1) if f"page{number}of{n_pages}" not in said] == []


def test_every_region_and_lesion_is_on_paper(info: BundleInfo, tmp_path: Path) -> None:
    lesion = {"long_mm": 20.0, "short_mm": 10.0, "product_mm2": 200.0}
    lesions = [{**lesion, "axial_slice": 1001 + n} for n in range(30)]
    found = {
        "region": "ET", "n_not_measurable": 0, "lesions": lesions, "n_targets": 2, "least_mm": 10.0,
        "sum_of_products_mm2": 400.0,
    }  # fmt: skip
    write_report(_reported(info, _labels(), diameters=found), tmp_path, "case-1")
    said = _pdf_text(tmp_path / "case-1.pdf")[0].replace(" ", "")
    assert [n for n in range(30) if f"slice{1001 + n}," not in said] == []


def test_long_names_end_before_the_page_and_the_figure_beside_them() -> None:
    sheet = _Sheet("TCGA_CS_4941_19960909" * 5)
    sheet.column(0.67, 0.94)
    sheet.pair("TCGA_CS_4941_19960909" * 5, "28.8 × 19.2 mm")
    (figure,) = sheet.figures
    renderer, width = FigureCanvasAgg(figure).get_renderer(), figure.bbox.width  # type: ignore[no-untyped-call]
    *_, title, name, value = (text.get_window_extent(renderer) for text in figure.texts)
    assert title.x1 < 0.94 * width
    assert name.x1 < value.x0


def test_volumes_sort_by_their_size(info: BundleInfo, tmp_path: Path) -> None:
    volumes = {"unit": "ml", "WT": 1234.5, "ET": 90.0}
    write_report(_reported(info, _labels(), volumes=volumes), tmp_path, "case-1")
    page = (tmp_path / "case-1.html").read_text(encoding="utf-8")
    assert re.findall(r'<td class="number" data-sort="([\d.]+)">([\d,.]+) ml', page) == [
        ("1234.5", "1,230"),
        ("90.0", "90.0"),
    ]


def test_nothing_found_is_a_report_too(info: BundleInfo, tmp_path: Path) -> None:
    labels = LabelMap(np.zeros(SHAPE, np.uint8), SCHEME, Grid(SHAPE, np.diag([*SPACING, 1.0])))
    write_report(_reported(info, labels), tmp_path, "case-1")
    assert "Nothing to measure" in (tmp_path / "case-1.html").read_text(encoding="utf-8")


def test_confidence_where_the_network_has_one(info: BundleInfo, tmp_path: Path) -> None:
    asked = {
        "confidence": 0.62, "confidence_is": "expected mean Dice", "low": True, "reasons": ["FLAIR is missing"],
        "volume_interval_is": "holds the true volume in 90% of patients", "volume_unit": "ml",
        "regions": {name: {"volume_interval": [3.0, 9.0]} for name in ("WT", "ET")},
    }  # fmt: skip
    write_report(_reported(info, _labels(), uncertainty=asked), tmp_path, "case-1")
    page = (tmp_path / "case-1.html").read_text(encoding="utf-8")
    for words in ("0.62, low: check this one; this is the expected", "FLAIR is missing", "3.00 to 9.00 ml"):
        assert words in page, words


def test_what_was_left_out_is_said(info: BundleInfo, tmp_path: Path) -> None:
    options = PredictOptions(min_ml={"WT": 0.5}, min_voxels={"ET": 9}, largest_component=("WT",))
    write_report(_reported(info.model_copy(update={"predict": options}), _labels()), tmp_path, "case-1")
    page = (tmp_path / "case-1.html").read_text(encoding="utf-8")
    assert "Pieces of less than 0.5 ml of WT, 9 voxels of ET were left out" in page
    assert "Of WT the largest piece alone was kept." in page
    write_report(_reported(info.model_copy(update={"predict": PredictOptions()}), _labels()), tmp_path, "case-2")
    assert "ieces of less" not in (tmp_path / "case-2.html").read_text(encoding="utf-8")


def test_pictures_have_an_overlay_alone(info: BundleInfo, tmp_path: Path) -> None:
    labels = LabelMap(np.ones((30, 20, 1), np.uint8), SCHEME, Grid.of_pictures((30, 20, 1)))
    image = Image(np.ones((1, 30, 20, 1), np.float32), ("t2f",), labels.grid)
    facts = {"volumes": {"unit": "voxels", "WT": 600, "ET": 0}}
    case = ReportedCase("a", image, labels, ("WT", "ET"), None, facts, (info,))
    assert write_report(case, tmp_path, "a") == ["a.png"]


AFFINES = {
    "RAS": np.diag([*SPACING, 1.0]),
    "LPS": np.diag([-1.0, -1.5, 3.0, 1.0]),
    "turned": np.array([[0, 1.5, 0, 4], [0, 0, 3.0, 5], [1.0, 0, 0, 6], [0, 0, 0, 1]]),
}


@pytest.mark.parametrize("affine", AFFINES.values(), ids=AFFINES)
def test_lines_are_drawn_where_they_were_measured(affine: np.ndarray[Any, Any]) -> None:
    """The voxel under each end of a line in the picture is the one that the end lies in, however the grid is turned."""
    labels = _labels(affine, side=18)
    (lesion,) = measure_diameters(labels, "WT").lesions
    image = Image(np.ones((1, *SHAPE), np.float32) * 100, ("t2f",), labels.grid)
    section = section_at(image, lesion.slice_index, lesion.axis)
    numbers = section.of(np.arange(np.prod(SHAPE)).reshape(SHAPE))
    inward = lesion.points + 0.02 * (lesion.points.mean(axis=0) - lesion.points)
    rows, columns = section.rows_and_columns(inward)
    for row, column, point in zip(rows.round().astype(int), columns.round().astype(int), inward, strict=True):
        voxel = np.unravel_index(int(numbers[row, column]), SHAPE)
        assert voxel == tuple(point.round().astype(int))
    size = (numbers.shape[0] * 4, numbers.shape[1] * 4)
    np.testing.assert_allclose(
        _places(lesion, section, size)[:, 0], 4 * (section.rows_and_columns(lesion.points)[0] + 0.5)
    )


def test_what_was_done_is_said_once() -> None:
    options = PrepareOptions(crop_to_brain=True, size=96, clip_percentiles=(0.5, 99.5))
    assert done_words([options, options]) == (
        "Cropped to the box of the brain.",
        "Axial slices were resized to 96 × 96 pixels.",
        "Intensities were brought to mean 0 and standard deviation 1 over each case within the brain. "
        "They were cut off at the percentiles 0.5 and 99.5.",
        "The probabilities were brought back to the grid of the scan, on which the mask is drawn.",
    )
    assert any("min" not in words and "0 to 1" in words for words in done_words([PrepareOptions(normalise="min-max")]))


# --- BIDS -------------------------------------------------------------------------------------------------------------

_ENTITIES = re.compile(
    r"^sub-[0-9a-zA-Z]+(_ses-[0-9a-zA-Z]+)?_space-orig(_label-[0-9a-zA-Z]+)?_desc-[0-9a-zA-Z]+_(dseg|mask)"
    r"\.(nii\.gz|json|tsv)$"
)
"""The order of entities and the suffixes of BIDS 1.10, derivatives of images: space, label, desc."""


@pytest.mark.parametrize(
    ("case", "patient", "prefix"),
    [
        ("BraTS-GLI-00001-001", "BraTS-GLI-00001", "sub-BraTSGLI00001_ses-001"),
        ("sub-01_ses-02", "sub-01", "sub-01_ses-02"),
        ("sub-01", "sub-01", "sub-01"),
        ("case-7ba08f82f6", "patient-0123456789", "sub-patient0123456789_ses-case7ba08f82f6"),
        ("Müller", "Müller", "sub-Mller"),
        ("…", "…", "sub-unnamed"),
    ],
)
def test_labels_hold_letters_and_digits(case: str, patient: str, prefix: str) -> None:
    assert BidsName.of(case, patient).prefix == prefix


def test_derivatives_as_bids_wants_them(tmp_path: Path) -> None:
    labels = _labels()
    masks = {"WT": labels.array > 0, "ET": labels.array == 3}
    written = write_derivative(tmp_path, BidsName.of("p-1", "p"), labels, masks)
    there = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert there == {*written, "bids/dataset_description.json"}
    for name in written:
        assert _ENTITIES.match(Path(name).name), name
        assert Path(name).parent.as_posix() == "bids/sub-p/ses-1/anat"
    about = json.loads((tmp_path / "bids" / "dataset_description.json").read_text(encoding="utf-8"))
    assert (about["DatasetType"], about["BIDSVersion"]) == ("derivative", "1.10.0")
    assert {"Name", "GeneratedBy"} <= set(about)
    assert about["GeneratedBy"][0]["Name"] == "glioseg"
    segmentation = tmp_path / "bids/sub-p/ses-1/anat/sub-p_ses-1_space-orig_desc-glioseg_dseg.nii.gz"
    np.testing.assert_array_equal(nibabel.load(segmentation).dataobj, labels.array)
    with (segmentation.parent / segmentation.name.replace(".nii.gz", ".tsv")).open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert [(row["index"], row["abbreviation"]) for row in rows] == [
        ("0", "BG"),
        ("1", "NCR"),
        ("2", "ED"),
        ("3", "ET"),
    ]
    assert all(re.fullmatch("#[0-9a-f]{6}", row["color"]) for row in rows)
    sidecar = json.loads((segmentation.parent / "sub-p_ses-1_space-orig_label-ET_desc-glioseg_mask.json").read_text())
    assert (sidecar["Type"], sidecar["SpatialReference"]) == ("Lesion", "orig")


def test_masks_of_regions_in_other_letters_do_not_replace_each_other(tmp_path: Path) -> None:
    """BIDS knows letters and digits of English alone, of which neither name has any; ET and ET+ differ in no letter."""
    labels, regions = _labels(), ("腫瘍", "浮腫", "ET", "ET+")
    masks = {name: labels.array == value for value, name in enumerate(regions)}
    called = BidsName.of("p", "p")
    written = write_derivative(tmp_path, called, labels, masks)
    assert len({name.lower() for name in written}) == len(written) == 3 + 2 * len(regions)
    assert written == called.files(regions)
    for value, name in enumerate(called.masks(regions)):
        kept = np.asarray(nibabel.load(tmp_path / f"{name}.nii.gz").dataobj)
        np.testing.assert_array_equal(kept, labels.array == value)


def test_files_of_regions_stay_in_the_folder_and_apart(tmp_path: Path) -> None:
    """Names of regions come with bundles and files of labels, and may hold anything."""
    regions = ("../../outside", "core/rim", "core:rim", "et", "ET")
    names = [*form_files("case", regions), *explanation_files("case", regions)]
    assert not [name for name in names if "/" in name or "\\" in name]
    assert len({name.lower() for name in names}) == len(names)
    labels = _labels()
    masks = {name: np.full(SHAPE, 0.9, np.float32) for name in regions}
    scheme = LabelScheme("own", {"a": 2, "b": 3}, dict.fromkeys(regions, ("a", "b")), regions)
    drawn = LabelMap(labels.array, scheme, labels.grid)
    written = write_forms(Wanted(write=("stl",)), (tmp_path / "out", "case"), None, drawn, masks, "0")
    assert sorted(written["stl"]) == sorted(regions)
    assert {path.name for path in tmp_path.rglob("*.stl")} == set(written["stl"].values())
    assert not list(tmp_path.glob("*.stl"))


def test_derivatives_of_tissues_are_no_lesions(tmp_path: Path) -> None:
    scheme = scheme_named("ibsr")
    labels = LabelMap(np.full((2, 2, 2), 3, dtype=np.uint8), scheme, Grid((2, 2, 2), np.eye(4)))
    write_derivative(tmp_path, BidsName.of("p", "p"), labels, {"wm": labels.array == 3})
    folder = tmp_path / "bids/sub-p/anat"
    mask = json.loads((folder / "sub-p_space-orig_label-wm_desc-glioseg_mask.json").read_text())
    assert (mask["Type"], mask["Description"]) == ("ROI", "Wm; research use only")
    segmentation = json.loads((folder / "sub-p_space-orig_desc-glioseg_dseg.json").read_text())
    assert segmentation["Description"] == "Tissues, as a network drew them; research use only"


# --- forms that a case cannot have ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["raster", "hdf5"])
def test_what_has_no_millimetres_has_no_other_forms(kind: Literal["raster", "hdf5"]) -> None:
    case = Case("a", "a", {"t2f": Source((Path("a"),), kind, 0, None if kind == "raster" else "image")})
    require_forms(Wanted(), case, ("WT",))
    with pytest.raises(OptionError, match="no millimetres, and no other forms than a mask; found stl"):
        require_forms(Wanted(write=("nifti", "stl")), case, ("WT",))
