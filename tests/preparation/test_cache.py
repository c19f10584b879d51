from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from glioseg.cohorts.splits.slicewise import by_slices
from glioseg.core import Case, Cohort, Grid, Image, LabelScheme, Source
from glioseg.core.labels import decode_regions
from glioseg.errors import CacheError, FileError, GeometryError, GliosegError, LabelError, OptionError, SplitError
from glioseg.io import load_image
from glioseg.io.nifti import write_nifti
from glioseg.io.raster import write_picture
from glioseg.preparation import contents as contents_module
from glioseg.preparation.cache import prepare, prepare_sound
from glioseg.preparation.identity import folder_name, plan_cohort
from glioseg.preparation.options import PrepareOptions
from glioseg.preparation.resample import resample_array
from glioseg.preparation.slice_array import checksum
from glioseg.preparation.store import PreparedCohort, index_at, of_patients, open_prepared
from tests.preparation.toys import GRID, SCHEME, cohort_of, toy_cohort, toy_labels, toy_volume, write_case

PLAIN = PrepareOptions()


@pytest.fixture
def cohort(tmp_path: Path) -> Cohort:
    return toy_cohort(tmp_path / "data")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def times(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in sorted(folder.iterdir())}


def backdate(folder: Path) -> dict[str, int]:
    """Give every file a time long ago, so that one that is written again shows."""
    for path in folder.iterdir():
        os.utime(path, ns=(10**18, 10**18))
    return times(folder)


def rewritten(folder: Path) -> set[str]:
    return {
        name.split("-")[1] for name, time in times(folder).items() if time != 10**18 and not name.startswith("index")
    }


# --- what is stored -----------------------------------------------------------------------------------------------


def test_what_a_prepared_cohort_holds(cohort: Cohort, tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    prepared = prepare(cohort, PLAIN, tmp_path / "cache", progress=lambda done, total: steps.append((done, total)))
    assert steps == [(1, 3), (2, 3), (3, 3)]
    assert prepared.name == "toy"
    assert prepared.modalities == ("t1c", "t2f")
    assert prepared.region_names == ("WT", "TC", "ET")
    assert prepared.scheme == SCHEME
    assert prepared.options == PLAIN
    assert [case.id for case in prepared.cases] == ["case-0", "case-1", "case-2"]
    case = prepared.cases[1]
    assert case.patient == "patient-1"
    assert case.images.shape == (6, 2, 10, 12)
    assert isinstance(case.images[2], np.memmap)
    assert not np.asarray(case.images).flags.writeable
    assert case.regions is not None
    assert case.regions.dtype == np.uint8
    assert case.native == case.working == GRID
    labels = toy_labels(1)
    expected = [
        [(labels[..., z] > 0).sum(), np.isin(labels[..., z], (1, 4)).sum(), (labels[..., z] == 4).sum()]
        for z in range(6)
    ]
    np.testing.assert_array_equal(case.region_voxels, expected)


def test_labels_come_back_from_the_cache(cohort: Cohort, tmp_path: Path) -> None:
    for regions in (("WT", "TC", "ET"), ("NCR", "ED", "ET")):
        prepared = prepare(cohort, PrepareOptions(regions=regions, crop_to_brain=True), tmp_path / "cache")
        for number, case in enumerate(prepared.cases):
            assert case.regions is not None
            native = resample_array(
                np.asarray(case.regions).transpose(1, 3, 2, 0), case.working, case.native, "nearest"
            )
            np.testing.assert_array_equal(decode_regions(native, SCHEME, regions), toy_labels(number))


def test_the_number_of_workers_changes_nothing(cohort: Cohort, tmp_path: Path) -> None:
    alone = prepare(cohort, PLAIN, tmp_path / "one", n_workers=1)
    three = prepare(cohort, PLAIN, tmp_path / "three", n_workers=3)
    assert contents(alone.folder) == contents(three.folder)


def test_cases_without_reference_or_modality(tmp_path: Path) -> None:
    cases = (write_case(tmp_path / "data", 0), write_case(tmp_path / "data", 1, labels=False, lacking="t1c"))
    prepared = prepare(cohort_of(*cases), PrepareOptions(missing="t2f"), tmp_path / "cache")
    assert prepared.cases[0].missing == ()
    lacking = prepared.cases[1]
    assert (lacking.missing, lacking.filled_with) == (("t1c",), "t2f")
    assert lacking.regions is None
    assert lacking.region_voxels is None
    np.testing.assert_array_equal(lacking.images[:, 0], lacking.images[:, 1])


def test_a_cohort_without_references_has_no_regions(tmp_path: Path) -> None:
    cohort = cohort_of(write_case(tmp_path / "data", 0, labels=False), scheme=None)
    prepared = prepare(cohort, PLAIN, tmp_path / "cache")
    assert prepared.region_names == ()
    assert prepared.scheme is None


def test_pictures_of_any_name_and_class(tmp_path: Path) -> None:
    cases = []
    for number, (name, category) in enumerate((("yes/Y 1.JPG", "yes"), ("YES/y 1.jpg", "yes"), ("../ü", "no"))):
        path = tmp_path / f"{number}.png"
        write_picture(path, np.full((4, 5), 100 + number, dtype=np.uint8))
        cases.append(Case(name, name, {"t2f": Source((path,), "raster")}, category=category))
    cohort = Cohort("pictures", "classes", "", tuple(cases), ("t2f",), None, ("no", "yes"))
    prepared = prepare(cohort, PrepareOptions(normalise="none", size=8), tmp_path / "cache")
    assert [case.category for case in prepared.cases] == ["yes", "yes", "no"]
    assert [float(np.asarray(case.images).max()) for case in prepared.cases] == [100, 101, 102]
    assert len({name.lower() for name in contents(prepared.folder)}) == 7  # two files a case, and the index


# --- once only ----------------------------------------------------------------------------------------------------


def test_a_complete_cache_is_opened_and_not_made_again(cohort: Cohort, tmp_path: Path) -> None:
    first = prepare(cohort, PLAIN, tmp_path / "cache")
    before = backdate(first.folder)
    again = prepare(cohort, PLAIN, tmp_path / "cache", progress=lambda *_: pytest.fail("nothing is left to be done"))
    assert times(first.folder) == before
    assert again.key == first.key
    np.testing.assert_array_equal(again.cases[0].images, first.cases[0].images)


def test_other_options_or_files_have_another_folder(cohort: Cohort, tmp_path: Path) -> None:
    keys = {plan_cohort(cohort, PLAIN).key}

    def is_new(changed: Cohort, options: PrepareOptions = PLAIN) -> bool:
        known = len(keys)
        keys.add(plan_cohort(changed, options).key)
        return len(keys) > known

    for options in (
        {"size": 32},
        {"size": 33},
        {"spacing_mm": (2.0, 2.0)},
        {"plane": "coronal"},
        {"normalise": "min-max"},
        {"normalise_over": "slice"},
        {"brain_only": False},
        {"clip_percentiles": (1.0, 99.0)},
        {"crop_to_brain": True},
        {"regions": ("NCR", "ED", "ET")},
        {"missing": "t2f"},
    ):
        assert is_new(cohort, PrepareOptions.model_validate(options)), options
    assert not is_new(cohort, PrepareOptions(regions=("WT", "TC", "ET")).model_copy(update={"regions": None}))
    first, *rest = cohort.cases
    assert is_new(replace(cohort, cases=tuple(rest)))
    assert is_new(replace(cohort, cases=(replace(first, patient="other"), *rest)))
    assert is_new(replace(cohort, cases=(replace(first, labels=None), *rest)))
    assert is_new(replace(cohort, modalities=("t2f", "t1c")))
    other = LabelScheme("other", {"NCR": 1, "ED": 2, "ET": 4}, SCHEME.regions, SCHEME.default_regions)
    assert is_new(replace(cohort, scheme=other))
    path = first.images["t1c"].paths[0]
    time_ns = path.stat().st_mtime_ns
    os.utime(path, ns=(1, time_ns + 1))
    assert not is_new(cohort)  # touched: it holds what it held
    path.write_bytes(path.read_bytes() + b"\0")
    os.utime(path, ns=(1, time_ns))
    assert is_new(cohort)


def test_a_file_is_read_once_for_its_digest(cohort: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    real = contents_module._digest_of

    def counted(path: Path) -> str:
        read.append(path.name)
        return real(path)

    monkeypatch.setattr(contents_module, "_digest_of", counted)
    key = plan_cohort(cohort, PLAIN, tmp_path / "cache").key
    assert len(read) == 9  # three cases of two modalities and a reference
    read.clear()
    assert plan_cohort(cohort, PLAIN, tmp_path / "cache").key == key
    assert read == []
    for path in (tmp_path / "data").rglob("seg.nii.gz"):
        os.utime(path, ns=(1, 1))
    assert plan_cohort(cohort, PLAIN, tmp_path / "cache").key == key
    assert read == ["seg.nii.gz"] * 3
    (record,) = (tmp_path / "cache").glob("contents-*.json")
    record.write_text("{", encoding="utf-8")
    assert plan_cohort(cohort, PLAIN, tmp_path / "cache").key == key


def test_a_pipe_is_no_scan(cohort: Cohort, tmp_path: Path) -> None:
    path = cohort.cases[0].images["t1c"].paths[0]
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(FileError, match="not a file that can be read"):
        plan_cohort(cohort, PLAIN)


def test_a_cohort_that_moved_as_a_whole_keeps_its_cache(cohort: Cohort, tmp_path: Path) -> None:
    key = plan_cohort(cohort, PLAIN).key
    (tmp_path / "data").rename(tmp_path / "elsewhere")

    def moved(source: Source) -> Source:
        return replace(
            source, paths=tuple(tmp_path / "elsewhere" / path.relative_to(tmp_path / "data") for path in source.paths)
        )

    cases = tuple(
        replace(
            case,
            images={name: moved(source) for name, source in case.images.items()},
            labels=moved(case.labels) if case.labels else None,
        )
        for case in cohort.cases
    )
    assert plan_cohort(replace(cohort, cases=cases), PLAIN).key == key


@pytest.mark.parametrize("where", ["data", "elsewhere/../data", "./data"])
def test_files_are_known_by_where_they_lie_in_the_data(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    for folder in (Path(where), tmp_path / where):
        files = plan_cohort(toy_cohort(folder, 2), PLAIN, None).files
        assert list(files) == [f"case-{number}/{name}.nii.gz" for number in (0, 1) for name in ("t1c", "t2f", "seg")]


def test_a_changed_scan_costs_its_own_case_alone(cohort: Cohort, tmp_path: Path) -> None:
    first = prepare(cohort, PLAIN, tmp_path / "cache")
    kept = np.array(first.cases[0].images)
    backdate(first.folder)
    write_nifti(cohort.cases[0].images["t1c"].paths[0], toy_volume(99), GRID)
    second = prepare(cohort, PLAIN, tmp_path / "cache")
    assert second.key != first.key
    assert rewritten(second.folder) == {"0"}
    afresh = prepare(cohort, PLAIN, tmp_path / "afresh")
    assert contents(afresh.folder).items() <= contents(second.folder).items()
    np.testing.assert_array_equal(open_prepared(first.index).cases[0].images, kept)  # who reads the old one goes on
    assert not np.array_equal(second.cases[0].images, kept)


def test_some_of_the_cases_cost_nothing_once_all_are_there(cohort: Cohort, tmp_path: Path) -> None:
    whole = prepare(cohort, PLAIN, tmp_path / "cache")
    backdate(whole.folder)
    some = prepare(replace(cohort, cases=cohort.cases[:2]), PLAIN, tmp_path / "cache")
    assert [case.id for case in some.cases] == ["case-0", "case-1"]
    assert rewritten(some.folder) == set()


def test_a_case_of_another_cohort_is_taken_only_if_it_is_whole(cohort: Cohort, tmp_path: Path) -> None:
    """No index says so of the changed cohort, so that every byte of the cases that are there is compared."""
    first = prepare(cohort, PLAIN, tmp_path / "cache")
    backdate(first.folder)
    flip(first, "images", 3)
    write_nifti(cohort.cases[0].images["t1c"].paths[0], toy_volume(99), GRID)
    second = prepare(cohort, PLAIN, tmp_path / "cache")
    assert contents(prepare(cohort, PLAIN, tmp_path / "afresh").folder).items() <= contents(second.folder).items()


# --- damage -------------------------------------------------------------------------------------------------------


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3])


def lengthen(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


def empty(path: Path) -> None:
    path.write_bytes(b"")


def other_shape(path: Path) -> None:
    array = np.load(path)
    np.save(path, array.reshape(array.shape[::-1]))


def pickled(path: Path) -> None:
    np.save(path, np.array([{"foreign": 1}], dtype=object))


@pytest.mark.parametrize("damage", [truncate, lengthen, empty, other_shape, pickled, Path.unlink])
@pytest.mark.parametrize("kind", ["images", "regions"])
def test_a_damaged_array_is_made_again(
    cohort: Cohort, tmp_path: Path, damage: Callable[[Path], None], kind: str
) -> None:
    prepared = prepare(cohort, PLAIN, tmp_path / "cache")
    whole = contents(prepared.folder)
    backdate(prepared.folder)
    damage(prepared.folder / prepared.cases[1].arrays[kind].file)
    with pytest.raises(CacheError, match="damaged"):
        open_prepared(prepared.index)
    again = prepare(cohort, PLAIN, tmp_path / "cache")
    assert contents(again.folder) == whole
    assert rewritten(again.folder) == {"1"}


def edit(path: Path) -> None:
    value = json.loads(path.read_text())
    value["record"]["missing"] = ["t2f"]
    path.write_text(json.dumps(value))


def of_another_case(path: Path) -> None:
    path.write_bytes(next(path.parent.glob("case-0*.json")).read_bytes())


def test_a_header_that_another_numpy_has_spaced_differently_is_right(cohort: Cohort, tmp_path: Path) -> None:
    prepared = prepare(cohort, PLAIN, tmp_path / "cache")
    path = next(prepared.folder.glob("*.images.npy"))
    before = path.read_bytes()
    path.write_bytes(before.replace(b", 'shape'", b",  'shape'", 1).replace(b" \n", b"\n", 1))
    assert len(path.read_bytes()) == len(before)
    written = backdate(prepared.folder)
    again = prepare(cohort, PLAIN, tmp_path / "cache")
    assert times(prepared.folder) == written
    for case, other in zip(prepared.cases, again.cases, strict=True):
        np.testing.assert_array_equal(case.images[:], other.images[:])


@pytest.mark.parametrize("damage", [truncate, empty, edit, of_another_case, Path.unlink])
def test_a_damaged_record_is_made_again(cohort: Cohort, tmp_path: Path, damage: Callable[[Path], None]) -> None:
    prepared = prepare(cohort, PLAIN, tmp_path / "cache")
    whole = contents(prepared.folder)
    backdate(prepared.folder)
    damage(next(prepared.folder.glob("case-1*.json")))
    with pytest.raises(GliosegError):
        open_prepared(prepared.index)
    assert contents(prepare(cohort, PLAIN, tmp_path / "cache").folder) == whole
    assert rewritten(prepared.folder) == {"1"}


@pytest.mark.parametrize("damage", [truncate, empty, Path.unlink])
def test_without_an_index_every_byte_is_checked(cohort: Cohort, tmp_path: Path, damage: Callable[[Path], None]) -> None:
    prepared = prepare(cohort, PLAIN, tmp_path / "cache")
    whole = contents(prepared.folder)
    backdate(prepared.folder)
    path = prepared.folder / prepared.cases[2].arrays["images"].file
    pixels = bytearray(path.read_bytes())
    pixels[-1] ^= 1  # one bit, which no size and no header shows
    path.write_bytes(pixels)
    case = open_prepared(prepared.index).cases[2]
    with pytest.raises(CacheError, match="another content in slice 6 of 6"):
        _ = case.images[5]
    damage(prepared.index)
    assert contents(prepare(cohort, PLAIN, tmp_path / "cache").folder) == whole
    assert rewritten(prepared.folder) == {"2"}


def test_foreign_files_are_left_alone(cohort: Cohort, tmp_path: Path) -> None:
    prepared = prepare(cohort, PLAIN, tmp_path / "cache")
    (prepared.folder / "notes.txt").write_text("mine")
    (prepared.folder / "more").mkdir()
    (prepared.index).unlink()
    prepare(cohort, PLAIN, tmp_path / "cache")
    assert (prepared.folder / "notes.txt").read_text() == "mine"


def test_a_file_that_vanishes_while_it_is_used(cohort: Cohort, tmp_path: Path) -> None:
    prepared = prepare(cohort, PLAIN, tmp_path / "cache")
    case, whole = open_prepared(prepared.index).cases[0], contents(prepared.folder)
    (prepared.folder / case.arrays["images"].file).unlink()
    with pytest.raises(CacheError, match="gone or damaged"):
        _ = case.images[0]
    np.testing.assert_array_equal(
        prepared.cases[0].images[2], prepare(cohort, PLAIN, tmp_path / "b").cases[0].images[2]
    )
    assert contents(prepared.folder) == whole  # who has the scans makes it anew


# --- checksums ----------------------------------------------------------------------------------------------------


def flip(prepared: PreparedCohort, kind: str, z: int) -> None:
    """One bit in slice z of the second case, which neither size nor header shows."""
    record = prepared.cases[1].arrays[kind]
    path = prepared.folder / record.file
    data = bytearray(path.read_bytes())
    n_slice = int(np.prod(record.shape[1:])) * np.dtype(record.dtype).itemsize
    data[len(data) - (record.shape[0] - z) * n_slice + 7] ^= 4
    path.write_bytes(data)


@pytest.mark.parametrize("kind", ["images", "regions"])
def test_a_flipped_bit_is_found_when_it_is_read_and_made_good(
    cohort: Cohort, tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    whole = contents(prepare(cohort, PLAIN, tmp_path / "cache").folder)
    expected = np.array(getattr(prepare(cohort, PLAIN, tmp_path / "cache").cases[1], kind))
    flip(prepare(cohort, PLAIN, tmp_path / "cache"), kind, 3)
    array = getattr(prepare(cohort, PLAIN, tmp_path / "cache").cases[1], kind)
    np.testing.assert_array_equal(array[2], expected[2])
    assert not caplog.records  # nothing is wrong with that slice
    np.testing.assert_array_equal(array[1:5], expected[1:5])
    assert "Case case-1 of the prepared cache is damaged, and is prepared anew" in caplog.text
    assert contents(prepare(cohort, PLAIN, tmp_path / "cache").folder) == whole


def test_start_up_reads_no_pixels_and_a_slice_is_checked_once(
    cohort: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(cohort, PLAIN, tmp_path / "cache")
    checked: list[tuple[int, ...]] = []

    def counted(values: npt.NDArray[np.generic]) -> int:
        checked.append(values.shape)
        return checksum(values)

    monkeypatch.setattr("glioseg.preparation.slice_array.checksum", counted)
    case = prepare(cohort, PLAIN, tmp_path / "cache").cases[0]
    assert checked == []
    for key in (2, (2, 1), slice(1, 4), [3, 1], np.arange(6) == 2):
        _ = case.images[key]
    assert checked == [(2, 10, 12)] * 3  # slices 1 to 3
    _ = np.asarray(case.images)
    assert len(checked) == 6


def test_a_damaged_case_is_not_made_of_other_scans(cohort: Cohort, tmp_path: Path) -> None:
    prepared = prepare(cohort, PLAIN, tmp_path / "cache")
    flip(prepared, "images", 0)
    write_nifti(cohort.cases[1].images["t1c"].paths[0], toy_volume(99), GRID)
    with pytest.raises(CacheError, match="case case-1 is damaged in the prepared cache, and its scans have changed"):
        _ = prepared.cases[1].images[0]


def test_prepared_cases_go_to_other_processes(cohort: Cohort, tmp_path: Path) -> None:
    prepared = prepare(cohort, PLAIN, tmp_path / "cache")
    expected = np.array(prepared.cases[1].images)
    flip(prepared, "images", 0)
    sent = pickle.loads(pickle.dumps(prepare(cohort, PLAIN, tmp_path / "cache")))
    np.testing.assert_array_equal(sent.cases[1].images[0], expected[0])


# --- interruption -------------------------------------------------------------------------------------------------


def test_an_interrupted_preparation_goes_on_where_it_was(cohort: Cohort, tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(cohort, PLAIN, tmp_path / "cache", n_workers=1, progress=interrupt)
    plan = plan_cohort(cohort, PLAIN)
    home = tmp_path / "cache" / folder_name(cohort, plan)
    with pytest.raises(FileError):
        open_prepared(index_at(home, plan.key))
    made = {path.name for path in home.glob("*.json")}
    assert made  # the worker may end what it was given before it is stopped
    backdate(home)
    prepared = prepare(cohort, PLAIN, tmp_path / "cache")
    assert contents(prepared.folder) == contents(prepare(cohort, PLAIN, tmp_path / "other").folder)
    assert not made & {name for name, time in times(home).items() if time != 10**18}


def test_a_killed_process_leaves_nothing_that_is_trusted(cohort: Cohort, tmp_path: Path) -> None:
    script = f"""
        import os, signal
        from pathlib import Path
        from glioseg.io import files
        from glioseg.preparation import store
        from glioseg.preparation.cache import prepare
        from glioseg.preparation.options import PrepareOptions
        from tests.preparation.toys import SHAPE, cohort_of, GRID, MODALITIES
        from glioseg.core import Case, Source

        data = Path({str(tmp_path / "data")!r})
        of = lambda n, name: Source((data / f"case-{{n}}" / f"{{name}}.nii.gz",), "nifti")
        images = lambda n: {{name: of(n, name) for name in MODALITIES}}
        cases = [Case(f"case-{{n}}", f"patient-{{n}}", images(n), of(n, "seg")) for n in range(3)]
        write, written = store.write_array, []

        def half(path, array):
            written.append(path)
            if len(written) == 4:  # the regions of the second case
                with files.replacing(path, sync=False) as temporary:
                    temporary.write_bytes(array.tobytes()[:50])
                    os.kill(os.getpid(), signal.SIGKILL)
            return write(path, array)

        store.write_array = half
        prepare(cohort_of(*cases), PrepareOptions(), Path({str(tmp_path / "cache")!r}), n_workers=1)
    """
    ended = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False, cwd=Path(__file__).parents[2])
    assert ended.returncode == -signal.SIGKILL
    plan = plan_cohort(cohort, PLAIN)
    home = tmp_path / "cache" / folder_name(cohort, plan)
    left = {path.name.split("-")[1][0] if path.name.startswith("case") else path.name[:9] for path in home.iterdir()}
    assert left == {"0", "1", ".writing-", ".lock"}
    with pytest.raises(FileError):
        open_prepared(index_at(home, plan.key))
    for path in home.glob(".writing-*"):
        os.utime(path, (1, 1))
    prepared = prepare(cohort, PLAIN, tmp_path / "cache")
    assert contents(prepared.folder) == contents(prepare(cohort, PLAIN, tmp_path / "other").folder)


def test_an_error_names_its_case_and_keeps_the_others(cohort: Cohort, tmp_path: Path) -> None:
    path = cohort.cases[1].images["t2f"].paths[0]
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FileError, match=r"case-1.*Download or copy it again") as caught:
        prepare(cohort, PLAIN, tmp_path / "cache", n_workers=1)
    assert caught.value.path == str(path)
    for volume, words in ((toy_volume(0).astype(np.float32) * np.nan, "not finite"), (None, "different grids")):
        grid = GRID if volume is not None else Grid((2, 2, 2), np.eye(4))
        write_nifti(path, np.ones((2, 2, 2), dtype=np.int16) if volume is None else volume, grid)
        with pytest.raises(GliosegError, match=f"case-1.*{words}|{words}.*case-1"):
            prepare(cohort, PLAIN, tmp_path / "cache", n_workers=1)
    write_nifti(path, toy_volume(11), GRID)
    assert len(prepare(cohort, PLAIN, tmp_path / "cache").cases) == 3


def test_damaged_cases_are_left_out_where_that_is_asked_for(cohort: Cohort, tmp_path: Path) -> None:
    """A scan cut off, and one that is not there: the third is prepared; whoever wants all of them is refused."""
    cut, gone = (cohort.cases[number].images["t2f"].paths[0] for number in (1, 2))
    whole = cut.read_bytes()
    cut.write_bytes(whole[: len(whole) // 2])
    gone.unlink()
    for _ in range(2):
        prepared, damaged = prepare_sound(cohort, PLAIN, tmp_path / "cache", n_workers=1)
        assert [case.id for case in prepared.cases] == ["case-0"]
        assert {case: error.path for case, error in damaged.items()} == {"case-2": str(gone), "case-1": str(cut)}
        with pytest.raises(FileError):
            prepare(cohort, PLAIN, tmp_path / "cache", n_workers=1)
    cut.write_bytes(whole)
    write_nifti(gone, toy_volume(21), GRID)
    prepared, damaged = prepare_sound(cohort, PLAIN, tmp_path / "cache", n_workers=1)
    assert (len(prepared.cases), damaged) == (3, {})
    for path in tmp_path.rglob("t2f.nii.gz"):
        path.unlink()
    with pytest.raises(FileError):
        prepare_sound(cohort, PLAIN, tmp_path / "cache", n_workers=1)


def test_a_fault_that_no_reader_answers_for_costs_its_case_alone(
    cohort: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(case: Case) -> Image:
        if case.id == "case-1":
            raise MemoryError("too large")
        return load_image(case)

    monkeypatch.setattr("glioseg.preparation.cache.load_image", load)
    prepared, damaged = prepare_sound(cohort, PLAIN, tmp_path / "cache", n_workers=1)
    assert [case.id for case in prepared.cases] == ["case-0", "case-2"]
    assert "case case-1 could not be prepared" in str(damaged["case-1"])
    assert "MemoryError: too large" in str(damaged["case-1"])
    with pytest.raises(MemoryError):
        prepare(cohort, PLAIN, tmp_path / "cache", n_workers=1)


def test_a_full_disk_is_no_fault_of_a_case(cohort: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(*_: object) -> None:
        raise FileError("cannot be written", path=tmp_path, found="No space left on device")

    monkeypatch.setattr("glioseg.preparation.cache.write_case", write)
    with pytest.raises(FileError, match="No space left"):
        prepare_sound(cohort, PLAIN, tmp_path / "cache", n_workers=1)


# --- slices of volumes --------------------------------------------------------------------------------------------


def test_slices_as_cases_hold_what_the_volume_holds(
    cohort: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = prepare(cohort, PrepareOptions(normalise_over="slice"), tmp_path / "cache")
    read: list[str] = []

    def counting(case: Case) -> Image:
        read.append(case.id)
        return load_image(case)

    monkeypatch.setattr("glioseg.preparation.cache.load_image", counting)
    slices = prepare(by_slices(cohort), PrepareOptions(normalise_over="slice"), tmp_path / "cache")
    assert len(read) == 3  # each volume once, not once a slice
    assert len(slices.cases) == 18
    for number, case in enumerate(slices.cases):
        volume = whole.cases[number // 6]
        np.testing.assert_array_equal(case.images[0], volume.images[number % 6])
        assert case.regions is not None
        assert volume.regions is not None
        np.testing.assert_array_equal(case.regions[0], volume.regions[number % 6])
        assert case.native == volume.native.cropped(((0, 12), (0, 10), (number % 6, number % 6 + 1)))
    (slices.folder / slices.cases[7].arrays["images"].file).unlink()
    again = prepare(by_slices(cohort), PrepareOptions(normalise_over="slice"), tmp_path / "cache")
    assert read[3:] == [slices.cases[7].id]
    np.testing.assert_array_equal(again.cases[7].images[0], whole.cases[1].images[1])


def test_a_slice_beyond_the_volume(cohort: Cohort, tmp_path: Path) -> None:
    cases = list(by_slices(cohort).cases)[:2]
    images = {name: replace(source, slice_index=9) for name, source in cases[1].images.items()}
    beyond = replace(
        cases[1], images=images, labels=replace(cases[1].labels, slice_index=9) if cases[1].labels else None
    )
    for chosen in ((beyond,), (cases[0], beyond)):
        with pytest.raises(GeometryError, match=r"too few slices.*found 6.*slice 9"):
            prepare(replace(cohort, cases=chosen), PLAIN, tmp_path / "cache")


# --- refusals -----------------------------------------------------------------------------------------------------


def test_options_that_do_not_fit_the_cohort(cohort: Cohort, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="found pet; expected zero or one of t1c, t2f"):
        prepare(cohort, PrepareOptions(missing="pet"), tmp_path / "cache")
    with pytest.raises(LabelError, match="no region csf"):
        prepare(cohort, PrepareOptions(regions=("csf",)), tmp_path / "cache")
    with pytest.raises(LabelError, match="WT and tumour overlap"):
        prepare(cohort, PrepareOptions(regions=("WT", "tumour")), tmp_path / "cache")
    with pytest.raises(OptionError, match=r"Say it with scheme= of glioseg\.read"):
        prepare(replace(cohort, scheme=None), PLAIN, tmp_path / "cache")
    bare = replace(cohort, cases=tuple(replace(case, labels=None) for case in cohort.cases))
    with pytest.raises(OptionError, match="without references"):
        prepare(bare, PrepareOptions(regions=("WT",)), tmp_path / "cache")


def test_a_source_that_is_gone(cohort: Cohort, tmp_path: Path) -> None:
    cohort.cases[0].images["t1c"].paths[0].unlink()
    with pytest.raises(FileError, match="no such file"):
        prepare(cohort, PLAIN, tmp_path / "cache")


def test_a_cache_that_cannot_be_written(cohort: Cohort, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(FileError, match="cannot be written"):
        prepare(cohort, PLAIN, tmp_path / "cache")


def test_some_patients_of_a_prepared_cohort(cohort: Cohort, tmp_path: Path) -> None:
    prepared: PreparedCohort = prepare(cohort, PLAIN, tmp_path / "cache")
    assert [case.id for case in of_patients(prepared, ["patient-2", "patient-0"]).cases] == ["case-0", "case-2"]
    with pytest.raises(SplitError, match="patient-9"):
        of_patients(prepared, ["patient-0", "patient-9"])
    with pytest.raises(SplitError, match="empty"):
        of_patients(prepared, [])
