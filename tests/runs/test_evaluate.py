"""``glioseg evaluate``: parts of a run's own data, and other data."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import glioseg as package
from glioseg.cohorts.phantom import PhantomOptions
from glioseg.cohorts.write import write_phantom
from glioseg.inference.bundle import load_bundle, save_bundle
from glioseg.runs.evaluate import name_of_other
from tests.cli.command import glioseg
from tests.runs.conftest import TinyRun


def _patients(tiny: TinyRun) -> dict[str, list[str]]:
    found: dict[str, list[str]] = json.loads((tiny.run / "split.json").read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("part", ["train", "val", "test", "all", None])
def test_a_part_of_the_runs_own_data(tiny: TinyRun, part: str | None, tmp_path: Path) -> None:
    given = [] if part is None else ["--part", part]
    ran = glioseg("evaluate", tiny.run, *given, "--json", "--out", tmp_path, "--cache", tiny.cache, "--device", "cpu")
    assert ran.code == 0, ran.err
    name = part or "test"
    assert ran.json["n_cases"] == {"train": 3, "all": 5}.get(name, 1)
    assert json.loads((tmp_path / f"evaluation-{name}.json").read_text(encoding="utf-8")) == ran.json
    assert len((tmp_path / f"cases-{name}.csv").read_text(encoding="utf-8").splitlines()) == ran.json["n_cases"] + 1
    if name in ("val", "test"):
        assert ran.json == tiny.ran.json[name]


def test_people_read_a_line_for_each_region(tiny: TinyRun, tmp_path: Path) -> None:
    ran = glioseg("evaluate", tiny.run, "--out", tmp_path, "--cache", tiny.cache, "--device", "cpu", "--quiet")
    assert ran.out.startswith("test: 1 case of 1 patient, native grid")
    assert [line.split()[0] for line in ran.out.splitlines()[1:3]] == ["WT", "ET"]
    assert ran.err == ""


def test_a_bundle_on_other_data_scores_as_the_run_did(tiny: TinyRun, tmp_path: Path) -> None:
    (patient,) = _patients(tiny)["test"]
    shutil.copytree(tiny.run / "bundle", tmp_path / "bundle")
    shutil.copytree(tiny.data / f"{patient}-000", tmp_path / "data" / f"{patient}-000")
    ran = glioseg("evaluate", tmp_path / "bundle", "--data", tmp_path / "data", "--json", "--device", "cpu")
    assert ran.code == 0, ran.err
    assert ran.json["regions"]["WT"]["precision"] == tiny.ran.json["test"]["regions"]["WT"]["precision"]
    assert (tmp_path / "bundle" / "evaluation-on-data.json").exists()


def test_modalities_are_hidden_where_the_network_can_do_without(tiny: TinyRun, tmp_path: Path) -> None:
    """The figures are those of data that has no other modality; a network that needs all says so."""
    bundle = load_bundle(tiny.run)
    fields = {name: getattr(bundle.info, name) for name in type(bundle.info).model_fields}
    sets = {key: value for key, value in fields.items() if key not in ("format", "model_id", "weights")}
    save_bundle(tmp_path / "sets", sets | {"modality_sets": (("t2f",),)}, bundle.model.state_dict())
    (patient,) = _patients(tiny)["test"]
    all_of_it = tmp_path / "all" / f"{patient}-000"
    shutil.copytree(tiny.data / all_of_it.name, all_of_it)
    alone = tmp_path / "alone" / all_of_it.name
    shutil.copytree(all_of_it, alone, ignore=shutil.ignore_patterns("*-t1*", "*-t2w*"))
    places = ["--cache", tmp_path / "cache", "--json", "--device", "cpu", "--quiet"]
    hidden = glioseg("evaluate", tmp_path / "sets", "--data", all_of_it.parent, "--only", "flair", *places)
    assert hidden.code == 0, hidden.err
    figures = tmp_path / "sets" / "evaluation-on-all-only-t2f.json"
    assert json.loads(figures.read_text(encoding="utf-8")) == hidden.json
    bare = glioseg("evaluate", tmp_path / "sets", "--data", alone.parent, *places)
    assert bare.code == 0, bare.err
    assert bare.json["regions"] == hidden.json["regions"]
    assert hidden.json["regions"] != tiny.ran.json["test"]["regions"]
    needed = glioseg("evaluate", tiny.run, "--part", "val", "--only", "t2f", *places)
    assert needed.code == 1
    assert "lacks t1c" in needed.err
    unknown = glioseg("evaluate", tiny.run, "--only", "pre", *places)
    assert unknown.code == 2
    assert "found pre; expected some of t2f, t1c. Try --only t2f" in " ".join(unknown.err.split())


def test_other_data_is_scored_by_what_its_own_integers_mean(tiny: TinyRun, tmp_path: Path) -> None:
    """The same patients in another publisher's order of labels, where 1 is oedema and 3 is still enhancing tumour."""
    converted = glioseg("convert", tiny.data, tmp_path / "msd", "--to", "msd", "--quiet")
    assert converted.code == 0, converted.err
    places = ["--json", "--device", "cpu", "--quiet"]
    ours = glioseg("evaluate", tiny.run, "--part", "all", "--out", tmp_path / "a", "--cache", tiny.cache, *places)
    theirs = glioseg("evaluate", tiny.run, "--data", tmp_path / "msd", "--out", tmp_path / "b", *places)
    assert theirs.code == 0, theirs.err
    for region in ("WT", "ET"):
        for metric in ("dice", "recall", "volume_reference_ml"):
            one, other = (each.json["regions"][region].get(metric) for each in (ours, theirs))
            assert one == other, (region, metric)


def test_nothing_is_written_into_the_bundle_of_a_run(tiny: TinyRun, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(tiny.run, run)
    ran = glioseg("evaluate", run / "bundle", "--data", tiny.data, "--cache", tiny.cache, "--json", "--device", "cpu")
    assert ran.code == 0, ran.err
    assert {path.name for path in (run / "bundle").iterdir()} == {"MODEL_CARD.md", "bundle.json", "model.safetensors"}
    assert (run / f"evaluation-on-{tiny.data.name}.json").exists()
    assert not (run / "evaluation-all.json").exists()


def test_the_report_is_written_again(tiny: TinyRun, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(tiny.run, run, ignore=shutil.ignore_patterns("report.html", "figures"))
    ran = glioseg("report", run, "--cache", tiny.cache, "--device", "cpu", "--quiet")
    assert (ran.code, ran.out.strip()) == (0, str(run / "report.html"))
    assert (run / "report.html").stat().st_size > 10_000


def test_what_cannot_be_evaluated(tiny: TinyRun, tmp_path: Path) -> None:
    bundle = tiny.run / "bundle"
    without = glioseg("evaluate", bundle)
    assert (without.code, "--data" in without.err) == (2, True)
    parted = glioseg("evaluate", bundle, "--data", tiny.data, "--part", "test")
    assert (parted.code, "other data has no parts" in parted.err) == (2, True)
    empty = glioseg("evaluate", tmp_path, "--data", tiny.data)
    assert (empty.code, "neither a run with a bundle nor a bundle" in empty.err) == (1, True)


@pytest.mark.parametrize(
    ("part", "code", "words"),
    [
        (
            "tset",
            2,
            "found --part tset; expected train, val, test, all. Did you mean --part test?",
        ),
        ("val", 1, "the val part of the split is empty; found patients in train, test"),
    ],
)
def test_a_part_that_there_is_not_is_refused_before_anything_is_read(
    tiny: TinyRun, tmp_path: Path, part: str, code: int, words: str
) -> None:
    shutil.copytree(tiny.run, tmp_path / "run")
    (tmp_path / "run" / "data.json").write_text('{"path": "/nowhere"}', encoding="utf-8")
    split = json.loads((tmp_path / "run" / "split.json").read_text(encoding="utf-8"))
    (tmp_path / "run" / "split.json").write_text(json.dumps(split | {"val": []}), encoding="utf-8")
    for others in ([], ["--with", tiny.run]):
        ran = glioseg("evaluate", tmp_path / "run", "--part", part, *others)
        assert (ran.code, words in ran.err) == (code, True), ran.err


def test_data_that_lacks_a_modality_of_the_network(tiny: TinyRun, tmp_path: Path) -> None:
    shutil.copytree(tiny.data, tmp_path / "data", ignore=shutil.ignore_patterns("*t1c*"))
    ran = glioseg("evaluate", tiny.run, "--data", tmp_path / "data", "--out", tmp_path / "out", "--quiet")
    assert ran.code in (1, 2)
    assert "t1c" in ran.err
    assert not (tmp_path / "out").exists()


def test_a_case_that_lacks_a_modality_is_left_out(tiny: TinyRun, tmp_path: Path) -> None:
    names = [f"BraTS-GLI-{number:05d}-000" for number in (1, 2)]
    for name in names:
        shutil.copytree(tiny.data / name, tmp_path / "data" / name)
    (tmp_path / "data" / names[0] / f"{names[0]}-t1c.nii.gz").unlink()
    ran = glioseg("evaluate", tiny.run, "--data", tmp_path / "data", "--out", tmp_path / "out", "--json")
    assert ran.code == 1, ran.err
    assert ran.json["n_cases"] == 1
    assert f"case {names[0]} was left out: " in ran.err
    assert f"case {names[0]} lacks t1c" in ran.json["left_out"][names[0]]


def _halved(path: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])


def test_damaged_cases_of_other_data_are_left_out_by_name(tiny: TinyRun, tmp_path: Path) -> None:
    """A scan cut off, a mask cut off, a link to nothing."""
    names = [f"BraTS-GLI-{number:05d}-000" for number in range(1, 5)]
    for name in names:
        shutil.copytree(tiny.data / name, tmp_path / "data" / name)
    for name, ending in zip(names, ("t1c", "seg", "t1c"), strict=False):
        path = tmp_path / "data" / name / f"{name}-{ending}.nii.gz"
        _halved(path)
    path.unlink()
    path.symlink_to("nowhere")
    out = tmp_path / "out"
    ran = glioseg("evaluate", tiny.run, "--data", tmp_path / "data", "--out", out, "--json", "--quiet")
    assert ran.code == 1, ran.err
    assert (ran.json["n_cases"], set(ran.json["left_out"])) == (1, set(names[:3]))
    said = [line.split(" was left out")[0] for line in ran.err.splitlines()]
    assert sorted(said) == [f"glioseg: case {name}" for name in names[:3]]
    assert "t1c.nii.gz" in ran.json["left_out"][names[0]]
    assert "seg.nii.gz" in ran.json["left_out"][names[1]]
    assert json.loads((out / "evaluation-on-data.json").read_text(encoding="utf-8")) == ran.json
    page = (out / "report-on-data.html").read_text(encoding="utf-8")
    assert "3 cases could not be scored" in page
    assert all(name in page for name in names[:3])


def test_a_damaged_case_of_the_run_s_own_data_is_an_error(tiny: TinyRun, tmp_path: Path) -> None:
    """What is trained on or scored as a part of a split never lacks a case without a word."""
    shutil.copytree(tiny.data, tmp_path / "data")
    _halved(tmp_path / "data" / "BraTS-GLI-00002-000" / "BraTS-GLI-00002-000-t1c.nii.gz")
    ran = glioseg("cache", tmp_path / "data", "--out", tmp_path / "cache", "--quiet")
    assert (ran.code, "BraTS-GLI-00002-000" in ran.err) == (1, True)


def test_data_flags_are_of_other_data(tiny: TinyRun) -> None:
    ran = glioseg("evaluate", tiny.run, "--layout", "brats")
    assert (ran.code, "--data DATA beside them" in ran.err) == (2, True)


def test_data_without_masks(tiny: TinyRun, tmp_path: Path) -> None:
    shutil.copytree(tiny.data, tmp_path / "data", ignore=shutil.ignore_patterns("*seg*"))
    ran = glioseg("evaluate", tiny.run, "--data", tmp_path / "data", "--quiet")
    assert (ran.code, "no case has a reference" in ran.err) == (1, True)


@pytest.mark.parametrize(
    ("cohort", "name"),
    [("kaggle_3m", "on-kaggle_3m"), ("My scans (2)", "on-My-scans-2"), ("test", "on-test"), ("..", "on-data")],
)
def test_other_data_takes_no_parts_name(cohort: str, name: str) -> None:
    assert name_of_other(cohort) == name


def test_other_data_keeps_its_own_meaning_of_labels(tiny: TinyRun, tmp_path: Path) -> None:
    """A network of BraTS 2023 (3 is ET) on two patients of BraTS 2021 (4 is ET): figures and page read 4 as ET."""
    write_phantom(PhantomOptions(n_patients=2, spacing_mm=6.0), tmp_path / "older", "brats2021", n_workers=1)
    given = ["--data", tmp_path / "older", "--scheme", "brats2021", "--out", tmp_path / "out", "--device", "cpu"]
    ran = glioseg("evaluate", tiny.run, *given, "--quiet")
    assert ran.code == 0, ran.err
    assert "4 ET" in (tmp_path / "out" / "report-on-older.html").read_text(encoding="utf-8")


def test_by_another_convention_than_the_recipes(tiny: TinyRun, tmp_path: Path) -> None:
    """What the recipe says holds unless another is asked for; its draws stay."""
    plain, other = (
        package.evaluate(tiny.run, part="val", out=tmp_path, cache=tiny.cache, convention=name).to_json()["protocol"]
        for name in (None, "metrics-reloaded")
    )
    assert (plain["convention"], plain["empty"]) == ("glioseg", "skip")
    assert (other["convention"], other["empty"]) == ("metrics-reloaded", "both_empty_1")
    assert other["lesions"].startswith("MetricsReloaded: 6 neighbours, no dilation")
    assert other["interval"] == plain["interval"]
    ran = glioseg("evaluate", tiny.run, "--part", "val", "--convention", "brats", "--quiet")
    assert (ran.code, "no such convention" in ran.err) == (2, True)
