"""Bad input to a training: a clear message, exit code 1 or 2, and nothing lost."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from glioseg.console import Reporter
from glioseg.training.checkpoint import load_checkpoint
from glioseg.training.log import read_log
from tests.cli.command import Ran, glioseg
from tests.runs.conftest import TinyRun

SHORT = ("train.max_steps=1", "loss.kind=dice", "predict.tune=false")
"""Changes for trainings of which only the beginning is looked at."""


def _train(tiny: TinyRun, out: Path, *arguments: str | Path, data: Path | None = None, changes: Any = ()) -> Ran:
    settings = [part for change in changes for part in ("--set", change)]
    places = ["--data", data or tiny.data, "--out", out, "--cache", tiny.cache, "--device", "cpu"]
    return glioseg("train", tiny.recipe_file, *places, "--no-evaluate", *settings, *arguments)


def _refused(ran: Ran, code: int, *words: str) -> None:
    assert ran.code == code, ran.err
    assert [word for word in words if word not in ran.err] == []
    assert ran.out == ""


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def copied(tiny: TinyRun, tmp_path: Path) -> Path:
    """The run, to be spoiled."""
    shutil.copytree(tiny.run, tmp_path / "run")
    return tmp_path / "run"


# -- settings ----------------------------------------------------------------------------------------------------------


def test_an_unknown_setting(tiny: TinyRun, tmp_path: Path) -> None:
    _refused(_train(tiny, tmp_path / "run", changes=["train.epoch=3"]), 2, "train.epoch", "did you mean train.epochs?")
    assert not (tmp_path / "run").exists()


def test_an_unknown_recipe(tiny: TinyRun, tmp_path: Path) -> None:
    ran = glioseg("train", "tum-lg", "--data", tiny.data, "--out", tmp_path / "run")
    _refused(ran, 2, "there is no recipe tum-lg", "egwaoje-brats-flair", "Did you mean tum-lgg?")
    assert not (tmp_path / "run").exists()


def test_a_device_that_is_not_there(tiny: TinyRun, tmp_path: Path) -> None:
    _refused(_train(tiny, tmp_path / "run", "--device", "cuda:77"), 2, "cuda:77")
    assert not (tmp_path / "run").exists()


def test_a_score_that_evaluation_does_not_know(tiny: TinyRun, tmp_path: Path) -> None:
    _refused(_train(tiny, tmp_path / "run", changes=["train.score=elegance"]), 2, "train.score", "one of dice, iou")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            'data.modalities=["t2f","pet"]',
            ("found pet; expected some of t1n, t1c, t2w, t2f.", """Try --set 'data.modalities=["t2f"]'."""),
        ),
        ('prepare.regions=["WT","EDEMA"]', ("has no region EDEMA", "WT, TC")),
    ],
)
def test_what_the_cohort_has_not(tiny: TinyRun, tmp_path: Path, change: str, words: tuple[str, ...]) -> None:
    ran = _train(tiny, tmp_path / "run", changes=[change])
    assert ran.code in (1, 2)
    assert [word for word in words if word not in ran.err] == []


# -- splits ------------------------------------------------------------------------------------------------------------


def test_an_empty_part_of_the_split(tiny: TinyRun, tmp_path: Path) -> None:
    changes = ["split.train=0.8", "split.val=0", "split.test=0.2"]
    _refused(_train(tiny, tmp_path / "run", changes=changes), 1, "the val part of the split is empty", "Give val")
    (tmp_path / "split.json").write_text('{"train": [], "val": ["BraTS-GLI-00001"]}', encoding="utf-8")
    ran = _train(tiny, tmp_path / "run", "--split", tmp_path / "split.json")
    _refused(ran, 1, "split.json: the train part of the split is empty")


def test_fewer_patients_than_parts(tiny: TinyRun, tmp_path: Path) -> None:
    _refused(_train(tiny, tmp_path / "run", changes=["data.max_patients=2"]), 1, "2 ")


def test_a_split_of_other_patients(tiny: TinyRun, tmp_path: Path) -> None:
    (tmp_path / "split.json").write_text('{"train": ["nobody"], "val": ["BraTS-GLI-00001"]}', encoding="utf-8")
    ran = _train(tiny, tmp_path / "run", "--split", tmp_path / "split.json")
    _refused(ran, 1, "split.json", "nobody")


def test_the_folds_of_nnunet(tiny: TinyRun, tmp_path: Path) -> None:
    cases = [f"BraTS-GLI-{number:05d}-000" for number in range(1, 6)]
    folds = [{"train": cases[:3], "val": cases[3:]}, {"train": cases[2:], "val": cases[:2]}]
    (tmp_path / "splits_final.json").write_text(json.dumps(folds), encoding="utf-8")
    given: list[str | Path] = ["--split", tmp_path / "splits_final.json", "--quiet"]
    _refused(_train(tiny, tmp_path / "run", *given), 1, "splits_final.json", "--fold")
    ran = _train(tiny, tmp_path / "run", *given, "--fold", "1", changes=SHORT)
    assert ran.code == 0, ran.err
    split = json.loads((tmp_path / "run" / "split.json").read_text(encoding="utf-8"))
    assert split["val"] == ["BraTS-GLI-00001", "BraTS-GLI-00002"]


# -- data --------------------------------------------------------------------------------------------------------------


def test_data_without_masks(tiny: TinyRun, tmp_path: Path) -> None:
    shutil.copytree(tiny.data, tmp_path / "data", ignore=shutil.ignore_patterns("*seg*"))
    ran = _train(tiny, tmp_path / "run", data=tmp_path / "data")
    _refused(ran, 1, "no case has a reference", "Training and scoring need masks")


def test_a_case_without_a_mask_is_left_out_and_said(tiny: TinyRun, tmp_path: Path) -> None:
    shutil.copytree(tiny.data, tmp_path / "data", ignore=shutil.ignore_patterns("*00005*seg*"))
    ran = _train(tiny, tmp_path / "run", data=tmp_path / "data", changes=SHORT)
    assert ran.code == 0, ran.err
    assert "Left out, for want of a reference: BraTS-GLI-00005-000" in ran.err
    split = json.loads((tmp_path / "run" / "split.json").read_text(encoding="utf-8"))
    assert sorted(name for part in ("train", "val", "test") for name in split[part]) == [
        f"BraTS-GLI-{number:05d}" for number in range(1, 5)
    ]


def test_a_damaged_scan(tiny: TinyRun, tmp_path: Path) -> None:
    shutil.copytree(tiny.data, tmp_path / "data")
    scan = next((tmp_path / "data").glob("*00003*/*t2f*"))
    scan.write_bytes(scan.read_bytes()[:300])
    _refused(_train(tiny, tmp_path / "run", data=tmp_path / "data"), 1, scan.name)


# -- run folders -------------------------------------------------------------------------------------------------------


def test_a_folder_of_other_files(tiny: TinyRun, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work", encoding="utf-8")
    for more in ([], ["--restart"]):
        _refused(_train(tiny, tmp_path, *more), 1, "holds files that are not a run's", "--out")
    assert (tmp_path / "thesis.tex").exists()


def test_a_file_in_the_place_of_the_folder(tiny: TinyRun, tmp_path: Path) -> None:
    (tmp_path / "run").write_text("", encoding="utf-8")
    _refused(_train(tiny, tmp_path / "run"), 1, "a folder is needed")


def test_a_folder_that_may_not_be_written_to(tiny: TinyRun, copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Permissions do not stop the superuser, who may run these tests; so the refusal is made."""
    before = _contents(copied)

    def refuse(path: Path, *args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "touch", refuse)
    _refused(_train(tiny, copied), 1, f"{copied}: cannot be written", "Permission denied")
    monkeypatch.undo()
    assert _contents(copied) == before


def test_data_that_is_not_there_leaves_no_run_behind(tiny: TinyRun, tmp_path: Path) -> None:
    _refused(_train(tiny, tmp_path / "runs" / "new", data=tmp_path / "typo"), 1, "typo")
    assert not (tmp_path / "runs" / "new").exists()


def test_a_restart_that_is_refused_keeps_the_old_run(tiny: TinyRun, copied: Path, tmp_path: Path) -> None:
    before = _contents(copied)
    _refused(_train(tiny, copied, "--restart", data=tmp_path / "typo"), 1, "typo")
    _refused(_train(tiny, copied, "--restart", changes=["split.train=0.8", "split.val=0"]), 1, "val part")
    assert _contents(copied) == before


def test_a_restart_begins_anew(tiny: TinyRun, copied: Path) -> None:
    ran = _train(tiny, copied, "--restart", "--quiet", changes=[*SHORT, "train.lr=0.5"])
    assert ran.code == 0, ran.err
    assert not (copied / "evaluation-test.json").exists()
    (row,) = read_log(copied / "log.jsonl")  # of the limit, in the first epoch
    assert (row.epoch, row.learning_rate) == (0, 0.5)


# -- checkpoints -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("train.lr=0.5", ('-    "lr": 0.01', '+    "lr": 0.5')),
        ("split.seed=5", ("the split:", "from train to")),
        ("prepare.size=40", ('-    "size": 32', '+    "size": 40')),
        ("train.schedule=cosine", ('-     "kind": "constant"', '+     "kind": "cosine"')),
    ],
)
def test_a_checkpoint_from_another_recipe(tiny: TinyRun, copied: Path, change: str, words: tuple[str, ...]) -> None:
    before = _contents(copied)
    ran = _train(tiny, copied, changes=[change])
    _refused(ran, 1, "latest_checkpoint.pth", "belongs to another training", "--restart")
    text = "\n".join(line.strip() for line in ran.err.splitlines()).replace(" ", "")
    assert [word for word in words if word.replace(" ", "") not in text] == []
    assert _contents(copied) == before


def test_a_checkpoint_from_other_data(tiny: TinyRun, copied: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny.data, tmp_path / "data")
    shutil.rmtree(tmp_path / "data" / "BraTS-GLI-00005-000")
    changed = tmp_path / "data" / "BraTS-GLI-00001-000" / "BraTS-GLI-00001-000-t1c.nii.gz"
    shutil.copy(str(changed).replace("t1c", "t2f"), changed)
    before = _contents(copied)
    ran = _train(tiny, copied, data=tmp_path / "data")
    _refused(ran, 1, "belongs to another training", f"the scans changed: {changed.parent.name}/{changed.name}; gone:")
    assert "BraTS-GLI-00005-000" in ran.err
    assert _contents(copied) == before


def test_scans_that_were_only_touched_are_the_same(tiny: TinyRun, copied: Path, tmp_path: Path) -> None:
    """A copy of the scans at another place, with other times: the run is continued (here there is nothing left)."""
    shutil.copytree(tiny.data, tmp_path / "data", copy_function=shutil.copyfile)
    ran = _train(tiny, copied, data=tmp_path / "data")
    assert ran.code == 0, ran.err
    assert "This training has ended" in ran.err


@pytest.mark.parametrize("name", ["latest_checkpoint.pth", "best_model.pth"])
def test_a_damaged_checkpoint(tiny: TinyRun, copied: Path, name: str) -> None:
    (copied / name).write_bytes((copied / name).read_bytes()[:2000])
    _refused(_train(tiny, copied), 1, name, "damaged", "--restart")


def test_a_log_that_lost_rows(tiny: TinyRun, copied: Path) -> None:
    (copied / "log.jsonl").write_text("", encoding="utf-8")
    _refused(_train(tiny, copied), 1, "log.jsonl", "shorter than its checkpoint remembers")


@pytest.mark.parametrize("schedule", ["constant", "plateau"])
def test_more_epochs_go_on_where_the_schedule_does_not_know_the_end(
    tiny: TinyRun, tmp_path: Path, schedule: str
) -> None:
    changes = [f"train.schedule={schedule}", "loss.kind=dice", "train.epochs=1"]
    assert _train(tiny, tmp_path / "run", "--quiet", changes=changes).code == 0
    (tmp_path / "run" / "evaluation-train.json").write_text("{}", encoding="utf-8")
    ran = _train(tiny, tmp_path / "run", "--quiet", changes=[*changes, "train.epochs=2"])
    assert ran.code == 0, ran.err
    first, second = (row.val_score or 0.0 for row in read_log(tmp_path / "run" / "log.jsonl"))
    assert (tmp_path / "run" / "evaluation-train.json").exists() == (second <= first)  # else it is of another model
    assert [row.epoch for row in read_log(tmp_path / "run" / "log.jsonl")] == [0, 1]


@pytest.mark.parametrize("schedule", ["cosine", "one-cycle", "polynomial"])
def test_more_epochs_are_refused_where_the_schedule_ends(tiny: TinyRun, tmp_path: Path, schedule: str) -> None:
    changes = [*SHORT, f"train.schedule={schedule}"]
    assert _train(tiny, tmp_path / "run", "--quiet", changes=changes).code == 0
    before = _contents(tmp_path / "run")
    ran = _train(tiny, tmp_path / "run", "--quiet", changes=[*changes, "train.epochs=9"])
    _refused(ran, 1, '"epochs": 2', '"epochs": 9')
    assert _contents(tmp_path / "run") == before


def test_fewer_epochs_than_were_trained_train_no_more(tiny: TinyRun, copied: Path) -> None:
    before = (copied / "log.jsonl").read_bytes()
    assert _train(tiny, copied, "--quiet", changes=["train.epochs=1"]).code == 0
    assert (copied / "log.jsonl").read_bytes() == before


def test_a_limit_stops_and_says_how_to_go_on(tiny: TinyRun, tmp_path: Path) -> None:
    ran = _train(tiny, tmp_path / "run", changes=[*SHORT, "train.validate_every=9"])
    assert ran.code == 0, ran.err
    assert "Stopped (train.max_steps = 1); the same command continues, once the limit is raised" in ran.err
    assert (tmp_path / "run" / "bundle" / "bundle.json").exists()  # validated at the limit, so that there is a model
    (row,) = read_log(tmp_path / "run" / "log.jsonl")
    assert row.val_score is not None


# -- bundles -----------------------------------------------------------------------------------------------------------


def _described(bundle: Path, **changes: Any) -> None:
    path = bundle / "bundle.json"
    facts = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(facts | changes), encoding="utf-8")


def _predict(bundle: Path, tiny: TinyRun) -> Ran:
    case = tiny.data / "BraTS-GLI-00001-000"
    return glioseg("predict", bundle, case, "--out", bundle.parent / "out", "--device", "cpu", "--quiet")


def test_weights_of_another_bundle(tiny: TinyRun, copied: Path) -> None:
    _described(copied / "bundle", model_id="0123456789ab")
    _refused(_predict(copied, tiny), 1, "bundle.json", "changed after it was written", "0123456789ab")
    _described(copied / "bundle", format=1)  # whose id is that of the weights
    _refused(_predict(copied, tiny), 1, "model.safetensors", "do not belong to this bundle", "0123456789ab")


def test_weights_of_another_network(tiny: TinyRun, copied: Path) -> None:
    model = json.loads((copied / "bundle" / "bundle.json").read_text(encoding="utf-8"))["model"]
    digest = json.loads((copied / "bundle" / "bundle.json").read_text(encoding="utf-8"))["weights"]
    _described(copied / "bundle", model=model | {"width": 8}, format=1, model_id=digest[:12])
    _refused(_predict(copied, tiny), 1, "do not fit the network")


def test_damaged_weights(tiny: TinyRun, copied: Path) -> None:
    path = copied / "bundle" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:500])
    _refused(_predict(copied, tiny), 1, "model.safetensors")
    path.unlink()
    _refused(_predict(copied, tiny), 1, "model.safetensors", "no such file")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format": 3}, ("format", "newer")),
        ({"modalities": []}, ("modalities",)),
        ({"colour": "blue"}, ("colour",)),
    ],
)
def test_a_description_that_cannot_be_read(
    tiny: TinyRun, copied: Path, changes: dict[str, Any], words: tuple[str, ...]
) -> None:
    _described(copied / "bundle", **changes)
    _refused(_predict(copied, tiny), 1, "bundle.json", *words)


def test_a_description_that_is_not_json(tiny: TinyRun, copied: Path) -> None:
    (copied / "bundle" / "bundle.json").write_text("{", encoding="utf-8")
    _refused(_predict(copied, tiny), 1, "bundle.json", "not a JSON file")


def test_nothing_is_said_when_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    Reporter(quiet=True).say("a word")
    with Reporter(quiet=True).progress("work") as step:
        step(1, 2)
    assert capsys.readouterr() == ("", "")


def test_tensorboard_that_is_not_installed(tiny: TinyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    _refused(_train(tiny, tmp_path / "run", "--tensorboard"), 2, "needs the package tensorboard", "glioseg[track]")
    assert not (tmp_path / "run").exists()


# -- a full disk, and Ctrl-C -------------------------------------------------------------------------------------------


def test_a_full_disk_costs_nothing_that_was_saved(
    tiny: TinyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk fills up while the second checkpoint is written: the first stays, and the training goes on from it."""
    run = tmp_path / "run"
    assert _train(tiny, run, "--quiet", changes=SHORT).code == 0
    before = _contents(run)

    def full(state: object, file: BinaryIO) -> None:
        file.write(b"half of a checkpoint")
        raise RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 64 vs 0\nand a long trace")

    further = [change.replace("max_steps=1", "max_steps=2") for change in SHORT]
    with monkeypatch.context() as patch:
        patch.setattr("torch.save", full)
        _refused(
            _train(tiny, run, "--quiet", changes=further), 1, "latest_checkpoint.pth", "cannot be written", "free space"
        )
    after = _contents(run)
    assert after.keys() == before.keys()
    assert after["latest_checkpoint.pth"] == before["latest_checkpoint.pth"]
    ran = _train(tiny, run, "--quiet", changes=further)
    assert ran.code == 0, ran.err
    assert load_checkpoint(run / "latest_checkpoint.pth")["progress"]["n_updates"] == 2


@pytest.mark.slow  # twice within one process: tests/training/test_loop.py
def test_ctrl_c_twice_ends_at_once_and_loses_no_checkpoint(tiny: TinyRun, tmp_path: Path) -> None:
    """A real process is frozen at some step, told to stop twice, and thawed, so that both calls meet the same step."""
    run = tmp_path / "run"
    settings = [
        part for change in ("train.epochs=10000", "train.checkpoint_every=1", *SHORT[1:]) for part in ("--set", change)
    ]
    places = ["--data", tiny.data, "--out", run, "--cache", tiny.cache, "--device", "cpu", "--quiet"]
    command = [sys.executable, "-m", "glioseg", "train", tiny.recipe_file, *places, *settings]
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not (run / "latest_checkpoint.pth").exists():
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.01)
    process.send_signal(signal.SIGSTOP)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)  # asks for the same; two of one kind would be merged while it is frozen
    process.send_signal(signal.SIGCONT)
    said, err = process.communicate()
    assert (process.returncode, said, err) == (143, "", "Interrupted.\n")
    kept = load_checkpoint(run / "latest_checkpoint.pth")["progress"]["n_updates"]
    assert kept >= 1
    assert not list(run.glob(".writing-*"))
    changes = ["train.epochs=10000", f"train.max_steps={kept + 1}", *SHORT[1:]]
    ran = _train(tiny, run, "--quiet", changes=changes)
    assert ran.code == 0, ran.err
    assert load_checkpoint(run / "latest_checkpoint.pth")["progress"]["n_updates"] == kept + 1
