"""``glioseg phantom`` and ``glioseg inspect``: what is written is what is found, in every layout."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from glioseg.cohorts.phantom import PhantomPatient
from glioseg.cohorts.write import WRITTEN_LAYOUTS
from tests.cli.command import glioseg, look
from tests.cli.conftest import Cohorts
from tests.fakes.pictures import write_pairs

KEYS = {"layout", "scheme", "cases", "patients", "slices", "tumour_slices", "modalities", "labels", "findings"}
BRATS = ["t1n", "t1c", "t2w", "t2f"]
# Layout as written -> layout as read, label scheme, modalities, name of the label for necrosis, oedema, enhancement.
READ_AS: Mapping[str, tuple[str, str | None, list[str], tuple[str, str, str]]] = {
    "brats2021": ("brats", "brats2021", BRATS, ("NCR", "ED", "ET")),
    "brats2023": ("brats", "brats2023", BRATS, ("NCR", "ED", "ET")),
    "brats-h5": ("brats-h5", "brats2021", BRATS, ("NCR", "ED", "ET")),
    "lgg": ("lgg", "lgg", ["pre", "flair", "post"], ("tumour",) * 3),
    "msd": ("msd", "msd", ["t2f", "t1n", "t1c", "t2w"], ("NET", "ED", "ET")),
    "nnunet": ("nnunet", "nnunet137", BRATS, ("NCR", "ED", "ET")),
    "pairs": ("pairs", "binary", ["grey"], ("tumour",) * 3),
    "classes": ("classes", None, ["grey"], ("", "", "")),
    "volumes": ("volumes", None, BRATS, ("label 1", "label 2", "label 3")),
}
VOLUMES = [layout for layout in WRITTEN_LAYOUTS if layout not in ("lgg", "pairs", "classes")]


def voxels(patients: Sequence[PhantomPatient], names: Sequence[str]) -> dict[str, int]:
    """Label -> voxels, where NCR, ED and ET (1, 2, 3 of the phantom) are called ``names``."""
    counts: dict[str, int] = {}
    for value, name in enumerate(names, start=1):
        found = sum(int((patient.labels.array == value).sum()) for patient in patients)
        counts[name] = counts.get(name, 0) + found
    return counts


def tumour_slices(patients: Sequence[PhantomPatient]) -> int:
    return sum(int(patient.labels.array.any(axis=(0, 1)).sum()) for patient in patients)


def test_every_layout_is_tested() -> None:
    assert set(READ_AS) == set(WRITTEN_LAYOUTS)


@pytest.mark.parametrize("layout", VOLUMES)
def test_phantoms_in_layouts_of_volumes(
    phantoms: Cohorts, phantom_patients: Sequence[PhantomPatient], layout: str
) -> None:
    """155 mm in slices of 6 mm are 26 slices."""
    ran = look(phantoms(layout))
    name, scheme, modalities, labels = READ_AS[layout]
    found = ran.json
    assert ran.code == 0
    assert set(found) >= KEYS
    assert (found["layout"], found["scheme"], found["modalities"]) == (name, scheme, modalities)
    assert (found["cases"], found["patients"], found["slices"]) == (2, 2, 52)
    assert found["tumour_slices"] == tumour_slices(phantom_patients)
    assert found["labels"] == voxels(phantom_patients, labels)
    assert ran.findings("error") == []
    assert ran.findings("warning") == ([("unknown-scheme", None)] if layout == "volumes" else [])


OWN_VALUES = {"brats2021": (1, 2, 4), "msd": (2, 1, 3), "nnunet": (2, 1, 3)}
"""Layout -> integers of necrosis, oedema and enhancement, where they are not 1, 2 and 3."""


@pytest.mark.parametrize("layout", VOLUMES)
def test_labels_of_ones_own_in_every_layout(
    phantoms: Cohorts, phantom_patients: Sequence[PhantomPatient], layout: str
) -> None:
    dead, wet, bright = OWN_VALUES.get(layout, (1, 2, 3))
    labels = ",".join(f"{value}={name}" for name, value in (("dead", dead), ("wet", wet), ("bright", bright)))
    ran = look(phantoms(layout), "--labels", labels, "--regions", f"all={dead}+wet+bright,solid={dead}+bright")
    found = ran.json
    counts = voxels(phantom_patients, ("dead", "wet", "bright"))
    assert (ran.code, found["scheme"], found["labels"]) == (0, "own", counts)
    assert found["regions"]["solid"]["voxels"] == counts["dead"] + counts["bright"]
    assert set(found["regions"]) == {"all", "solid", "tumour"}


@pytest.mark.parametrize(("layout", "values"), [("lgg", "255=lesion"), ("pairs", "255=lesion")])
def test_own_names_for_pictures(phantoms: Cohorts, layout: str, values: str) -> None:
    found = look(phantoms(layout), "--labels", values).json
    assert list(found["labels"]) == ["lesion"]
    assert found["tumour_slices"] > 0


def test_labels_said_in_a_file_beside_the_data(phantoms: Cohorts, tmp_path: Path) -> None:
    shutil.copytree(phantoms("volumes"), tmp_path / "data" / "scans")
    (tmp_path / "data" / "labels.toml").write_text("[labels]\nnecrosis = 1\nedema = 2\nenhancing = 3\n", "utf-8")
    for folder in (tmp_path / "data" / "scans", tmp_path / "data"):
        ran = look(folder)
        assert (list(ran.json["labels"]), ran.findings("warning")) == (["NCR", "ED", "ET"], [])
        assert set(ran.json["regions"]) >= {"WT", "TC", "ET", "tumour"}
    assert look(tmp_path / "data", "--scheme", "brats2023").json["scheme"] == "brats2023"


def test_regions_of_a_named_scheme(phantoms: Cohorts) -> None:
    found = look(phantoms("volumes"), "--scheme", "brats2025-gli", "--regions", "rim=SNFH+3").json
    assert found["regions"]["rim"]["voxels"] == found["labels"]["SNFH"] + found["labels"]["ET"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("--labels", "oedema=1"), "--labels says what each integer means; found oedema=1; expected such as"),
        (("--labels", "1=a,2=a"), "--labels says what each integer means"),
        (("--labels", "1=a,1=b"), "--labels says what each integer means"),
        (("--labels", "1=a", "--regions", "WT"), "--regions says what each is made of; found WT"),
        (("--labels", "1=a", "--regions", "WT=3"), "made of labels that do not exist; found 3; expected some of 1 a"),
        (("--regions", "WT=1"), "--regions needs to know the labels. Add --labels or --scheme"),
        (("--labels", "1=a", "--scheme", "msd"), "--labels and --scheme say the same; found msd. Leave one"),
    ],
)
def test_labels_that_are_not_written_as_they_should_be(phantoms: Cohorts, given: tuple[str, ...], message: str) -> None:
    ran = look(phantoms("volumes"), *given)
    assert ran.code == 2
    assert message in " ".join(ran.err.split())


def test_phantom_as_lgg(phantoms: Cohorts, phantom_patients: Sequence[PhantomPatient]) -> None:
    """40 x 40 pixels fit six times into 256: each voxel of tumour becomes 36 pixels."""
    ran = look(phantoms("lgg"))
    found = ran.json
    assert (ran.code, found["layout"], found["scheme"], found["modalities"]) == (0, *READ_AS["lgg"][:3])
    assert (found["cases"], found["patients"], found["slices"]) == (2, 2, 52)
    assert found["tumour_slices"] == tumour_slices(phantom_patients)
    (count,) = voxels(phantom_patients, ["tumour"] * 3).values()
    assert found["labels"] == {"tumour": 36 * count}
    assert ran.findings("error") + ran.findings("warning") == []


def test_phantom_as_pictures_with_masks(phantoms: Cohorts, phantom_patients: Sequence[PhantomPatient]) -> None:
    """Every slice of 6 mm is a picture where the brain is; pictures of one patient are kept together by facts.csv."""
    ran = look(phantoms("pairs"))
    found = ran.json
    n = len(list((phantoms("pairs") / "images").iterdir()))
    assert (ran.code, found["layout"], found["scheme"], found["modalities"]) == (0, *READ_AS["pairs"][:3])
    assert (found["cases"], found["patients"], found["slices"]) == (n, 2, n)
    assert found["tumour_slices"] == tumour_slices(phantom_patients)
    assert found["labels"] == voxels(phantom_patients, ["tumour"] * 3)


def test_phantom_as_classes(phantoms: Cohorts, phantom_patients: Sequence[PhantomPatient]) -> None:
    ran = look(phantoms("classes"))
    found = ran.json
    n_yes = tumour_slices(phantom_patients)
    assert (ran.code, found["layout"], found["scheme"], found["labels"]) == (0, "classes", None, {})
    assert (found["patients"], found["slices"], found["tumour_slices"]) == (2, found["cases"], 0)
    assert found["categories"] == {"no": found["cases"] - n_yes, "yes": n_yes}


def test_tissues_of_the_phantom(phantoms: Cohorts, phantom_patients: Sequence[PhantomPatient]) -> None:
    ran = look(phantoms("tissues"))
    found = ran.json
    assert (ran.code, found["layout"], found["scheme"], found["modalities"]) == (0, "volumes", "ibsr", ["t1n"])
    assert (found["cases"], found["patients"], found["slices"], found["tumour_slices"]) == (2, 2, 52, 0)
    for value, name in enumerate(("CSF", "GM", "WM"), start=1):
        assert found["labels"][name] == sum(int((each.tissues.array == value).sum()) for each in phantom_patients)


def test_the_same_seed_gives_the_same_files(phantoms: Cohorts, tmp_path: Path) -> None:
    one = phantoms("brats2023") / "BraTS-GLI-00001-000" / "BraTS-GLI-00001-000-t1c.nii.gz"
    for seed in (0, 1):
        given = ("--patients", 1, "--spacing", 6, "--seed", seed, "--quiet")
        assert glioseg("phantom", tmp_path / str(seed), *given).err == ""
        again = tmp_path / str(seed) / one.relative_to(phantoms("brats2023"))
        assert (again.read_bytes() == one.read_bytes()) == (seed == 0)


@pytest.mark.parametrize("layout", WRITTEN_LAYOUTS)
def test_toys_in_every_layout(toys: Cohorts, layout: str) -> None:
    """Two cases of four slices, with one voxel of each of three labels in slice 1 each.

    LGG enlarges 6 x 5 pixels 42-fold (256 // 6). Pictures are one case per slice.
    """
    name, scheme, modalities, labels = READ_AS[layout]
    n = 42 * 42 if layout == "lgg" else 1
    found = look(toys(layout)).json
    assert (found["layout"], found["scheme"], found["modalities"]) == (name, scheme, modalities)
    assert found["cases"] == (8 if layout in ("pairs", "classes") else 2)
    assert (found["patients"], found["slices"]) == (2, 8)
    assert found["tumour_slices"] == (0 if layout == "classes" else 2)
    expected = {name: 2 * n * labels.count(name) for name in labels if name}
    assert found["labels"] == expected


# --- what is printed, and where ---------------------------------------------------------------------------------------


def test_json_is_all_there_is_on_stdout(toys: Cohorts) -> None:
    ran = glioseg("inspect", toys("brats2023"), "--json", "--no-report")
    assert ran.json["layout"] == "brats"
    assert ran.out.startswith("{\n")
    assert ran.out.endswith("}\n")
    assert ran.err.splitlines() == ["Listing files …", "Looking at cases …", "Looking at cases: 2 of 2"]


def test_quiet_says_nothing_on_stderr(toys: Cohorts) -> None:
    ran = glioseg("inspect", toys("brats2023"), "--no-report", "--quiet")
    assert (ran.code, ran.err) == (0, "")


def test_a_table_for_people(toys: Cohorts) -> None:
    ran = glioseg("inspect", toys("brats2021"), "--no-report")
    assert ran.out.splitlines() == [
        "brats2021",
        "  layout      brats (2 cases named as in BraTS (2 of 2017-2021), such as "
        "BraTS2021_00001/BraTS2021_00001_flair.nii.gz)",
        "  cases       2 of 2 patients",
        "  modalities  t1n, t1c, t2w, t2f",
        "  slices      8, 2 with tumour",
        "  labels      brats2021: 0 background, 1 NCR, 2 ED, 4 ET",
        "              NCR: 2 voxels (0.83%)",  # 2 of 2 x 120
        "              ED: 2 voxels (0.83%)",
        "              ET: 2 voxels (0.83%)",
        "",
        "  no findings",
    ]


def test_labels_of_unknown_meaning_are_shown_as_integers(toys: Cohorts) -> None:
    out = glioseg("inspect", toys("volumes"), "--no-report").out
    assert "  labels      their meaning is not known\n              label 1: 2 voxels (0.83%)\n" in out
    assert "8, 2 with labels" in out
    assert "warning unknown-scheme: " in out


def test_tissues_have_slices_without_a_word_of_tumour(phantoms: Cohorts) -> None:
    out = glioseg("inspect", phantoms("tissues"), "--no-report").out
    assert "  slices      52\n" in out


def test_many_findings_are_cut(toys: Cohorts, monkeypatch: pytest.MonkeyPatch) -> None:
    """Label 4 is unknown to IBSR in both cases."""
    monkeypatch.setattr("glioseg.cli.texts._SHOWN_FINDINGS", 1)
    out = glioseg("inspect", toys("brats2021"), "--no-report", "--scheme", "ibsr").out
    assert out.splitlines()[-1] == "  … and 1 more findings"


def test_the_report(toys: Cohorts, tmp_path: Path) -> None:
    ran = glioseg("inspect", toys("pairs"), "--json", "--out", tmp_path / "looked" / "at")
    assert ran.code == 0
    assert ran.json["report"] == str(tmp_path / "looked" / "at" / "report.html")
    kept = json.loads((tmp_path / "looked" / "at" / "inspect.json").read_text())
    assert kept == {name: value for name, value in ran.json.items() if name != "report"}
    assert "<html" in (tmp_path / "looked" / "at" / "report.html").read_text()


def test_the_report_of_pictures_in_colours(tmp_path: Path) -> None:
    """Their three colours are one picture: there is no sheet of modalities."""
    write_pairs(tmp_path / "data", ["a", "b"], colours=True)
    ran = glioseg("inspect", tmp_path / "data", "--out", tmp_path / "report", "--quiet")
    assert ran.code == 0, ran.err
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert "Slices with tumour" in page
    names = {path.stem for path in (tmp_path / "report").rglob("*.png")}
    assert ("gallery-positive" in names, "modalities" in names) == (True, False)


def test_the_report_lies_beside_by_default(toys: Cohorts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    ran = glioseg("inspect", toys("pairs"), "--quiet")
    assert ran.out.splitlines()[-1] == f"Report: {Path('pairs-report', 'report.html')}"
    assert (tmp_path / "here" / "pairs-report" / "report.html").is_file()


@pytest.mark.parametrize("damaged", [False, True])
def test_as_a_process_of_its_own(toys: Cohorts, damaged: bool) -> None:
    folder = toys("brats2023")
    if damaged:
        next(folder.rglob("*-t1c.nii.gz")).write_bytes(b"")
    command = [sys.executable, "-m", "glioseg", "inspect", str(folder), "--json", "--no-report"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == int(damaged)
    assert json.loads(done.stdout)["cases"] == 2
    assert done.stderr.splitlines()[0] == "Listing files …"


@pytest.mark.slow
def test_phantom_in_several_processes(tmp_path: Path, phantoms: Cohorts) -> None:
    command = [sys.executable, "-m", "glioseg", "phantom", str(tmp_path / "set"), "--patients", "2", "--spacing", "6"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"2 phantom patients: {tmp_path / 'set'}\n")
    assert done.stderr.splitlines()[-1] == "Writing phantom patients: 2 of 2"
    for path in sorted(phantoms("brats2023").rglob("*.nii.gz")):
        same = tmp_path / "set" / path.relative_to(phantoms("brats2023"))
        assert same.read_bytes() == path.read_bytes()


# --- what the user says -----------------------------------------------------------------------------------------------


def test_another_layout(toys: Cohorts) -> None:
    ran = look(toys("brats2023"), "--layout", "volumes")
    assert (ran.code, ran.json["layout"], ran.json["scheme"]) == (0, "volumes", None)
    assert ran.json["reason"].endswith("; that layout was named")


def test_a_scheme_where_the_files_do_not_say_it(toys: Cohorts) -> None:
    ran = look(toys("volumes"), "--scheme", "brats2023")
    assert (ran.code, ran.json["scheme"], ran.json["labels"]) == (0, "brats2023", {"NCR": 2, "ED": 2, "ET": 2})
    assert ran.json["findings"] == []


def test_a_wrong_scheme_is_noticed_and_fitting_ones_named(toys: Cohorts) -> None:
    ran = look(toys("brats2021"), "--scheme", "brats2023")
    assert ran.code == 1
    assert ran.findings("error") == [("unknown-labels", f"BraTS2021_0000{n}") for n in (1, 2)]
    assert ran.json["labels"] == {"NCR": 2, "ED": 2, "ET": 0, "unknown 4": 2}
    assert "brats2021" in ran.json["findings"][0]["message"]


def test_modalities_in_file_order(toys: Cohorts) -> None:
    folder = toys("brats-h5")
    assumed, told = look(folder), look(folder, "--modalities", "flair, t1,t1ce,t2")
    assert ("assumed-channels", None) in assumed.findings("note")
    assert told.json["modalities"] == ["t2f", "t1n", "t1c", "t2w"]
    assert ("assumed-channels", None) not in told.findings("note")


# --- copies -----------------------------------------------------------------------------------------------------------


def test_copies_of_pictures(phantoms: Cohorts, tmp_path: Path) -> None:
    """An equal copy in the other class, and a slightly brighter one in the same."""
    folder = shutil.copytree(phantoms("classes"), tmp_path / "classes")
    first, second = sorted((folder / "yes").iterdir())[3:5]
    shutil.copy(first, folder / "no" / "x.png")
    pixels = np.asarray(Pillow.open(second))
    Pillow.fromarray(np.minimum(pixels.astype(int) + pixels // 10, 255).astype(np.uint8)).save(folder / "yes" / "y.png")
    ran = look(folder)
    found = {each["kind"]: each["message"] for each in ran.json["findings"] if each["severity"] == "warning"}
    assert ran.code == 0
    assert f"no_x = yes_{first.stem}" in found["duplicates-across-classes"]
    assert f"yes_{second.stem} = yes_y" in found["near-duplicates"]
    assert [group["kind"] for group in ran.json["duplicates"]] == ["exact", "near"]
