"""What is typed of each tool, and how its checkpoints of several moments become masks of the test patients."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from measure import Cost, measured
from sets import Peers

from glioseg.machine.device import cpu_is_faster_in_bf16
from glioseg.training.checkpoint import LATEST, load_checkpoint

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Place:
    """Where a training of a tool on a set happens.

    Args:
        peers: the set.
        data: its folder.
        out: what the training leaves; emptied before.
        shared: what trainings of the tool on the set share, such as prepared data.
        python: the interpreter in whose environment the tool is installed.
        seed: of the training, where the tool takes one.
        budget_s: processor seconds of the training.
    """

    peers: Peers
    data: Path
    out: Path
    shared: Path
    python: Path
    seed: int
    budget_s: float

    def log(self) -> Path:
        """What the tool says."""
        return self.out / "log.txt"

    def masks(self, mark: float) -> Path:
        """Where the masks of the test patients go, predicted after this share of the budget."""
        return self.out / f"masks-{mark:g}"


@dataclass(frozen=True)
class Moment:
    """A checkpoint of a training, by now masks in ``Place.masks(mark)``.

    Args:
        mark: share of the budget.
        training_s: processor seconds of training until then.
        n_steps: updates of the weights until then.
        predict: what it cost to predict all test patients, file to file.
        as_default: whether they were predicted as the tool does by default, or in a cheaper way.
    """

    mark: float
    training_s: float
    n_steps: int
    predict: Cost
    as_default: bool = True


@dataclass(frozen=True)
class Trained:
    """A training.

    Args:
        prepare: what is done once before all trainings of the tool on the set.
        train: the training and its start.
        moments: its checkpoints.
        plan: what the tool decided from the data, where it says so.
    """

    prepare: Cost
    train: Cost
    moments: Sequence[Moment]
    plan: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Tool:
    """One way to train.

    Args:
        name: in file names.
        words: on the page.
        python: which environment it needs: ``glioseg``, ``monai`` or ``nnunet``.
        typed: the commands that a user types from files in the tool's own layout to masks of new patients.
        script: code that the user writes beside them.
        run: prepares, trains and predicts.
    """

    name: str
    words: str
    python: str
    typed: Sequence[str]
    run: Callable[[Place], Trained]
    script: Path | None = field(default=None)


def _once(place: Place, prepare: Callable[[], Cost]) -> Cost:
    """What preparing cost, done for the first training of a tool on a set and kept."""
    kept = place.shared / "prepare.json"
    if not kept.exists():
        cost = prepare()
        kept.write_text(json.dumps(asdict(cost)), encoding="utf-8")
    return Cost(**json.loads(kept.read_text(encoding="utf-8")))


# -- glioseg -----------------------------------------------------------------------------------------------------------


def _glioseg(place: Place) -> Trained:
    command = [str(place.python), str(HERE / "processor_clock.py")]
    data = ["--data", str(place.data / "train"), "--split", str(place.data / "splits_final.json"), "--fold", "0"]
    changes = [*place.peers.changes, "train.epochs=1000", "train.checkpoint_every=10", f"train.seed={place.seed}"]
    cache = place.shared / "cache"
    prepare = _once(
        place,
        lambda: measured(
            [*command, "cache", str(place.data / "train"), "--out", str(cache), "--recipe", place.peers.recipe,
             *_sets([change for change in place.peers.changes if change.startswith("prepare.")]), "--quiet"],
            place.log()))  # fmt: skip
    elsewhere = ["--no-evaluate", "--device", "cpu", "--cache", str(cache), "--quiet"]
    train = [*command, "train", place.peers.recipe, *data, *elsewhere, *_sets(changes)]
    run = place.out / "run"
    marks = [mark for mark in place.peers.marks if mark < 1]
    seen: list[int] = []

    def copy_at_marks() -> None:
        """A copy of the run folder is what a training that was killed there leaves."""
        written = (run / LATEST).stat().st_mtime_ns if (run / LATEST).exists() else 0
        if marks and written not in (0, *seen):
            seen.append(written)
            if _progress(run)["elapsed_s"] >= marks[0] * place.budget_s:
                shutil.copytree(run, run.with_name(f"run-{marks.pop(0):g}"))

    limited = [*train, "--out", str(run), *_sets([f"train.max_minutes={place.budget_s / 60:g}"])]
    cost = measured(limited, place.log(), meanwhile=copy_at_marks)
    if marks:
        raise SystemExit(f"{run}: ended before {marks[0]:g} of its time was seen in a checkpoint")
    moments = []
    for mark in place.peers.marks:
        at = run if mark == 1 else run.with_name(f"run-{mark:g}")
        if mark < 1:  # as if its time had been over there: validated, and made into a bundle
            measured([*train, "--out", str(at), *_sets(["train.max_minutes=0.001"])], place.log())
        progress = _progress(at)
        out = place.masks(mark)
        predict = measured([*command, "predict", str(at), str(place.data / "test"), "--out", str(out), "--device",
                            "cpu", "--write", "nifti", "--quiet"], place.log())  # fmt: skip
        moments.append(Moment(mark, progress["elapsed_s"], progress["n_updates"], predict))
    return Trained(prepare, cost, moments)


def _sets(changes: Sequence[str]) -> list[str]:
    return [word for change in changes for word in ("--set", change)]


def _progress(run: Path) -> Mapping[str, Any]:
    """Where the training in a run folder stands."""
    begun = (run / LATEST).exists()
    return dict(load_checkpoint(run / LATEST)["progress"]) if begun else {"elapsed_s": 0.0, "n_updates": 0}


# -- nnU-Net -----------------------------------------------------------------------------------------------------------


def _nnunet(small: bool) -> Callable[[Place], Trained]:
    """nnU-Net in two dimensions: as it plans by itself, or for a card of little memory, with smaller batches."""
    plans = "nnUNetPlans_small" if small else "nnUNetPlans"

    def run(place: Place) -> Trained:
        environment = _nnunet_environment(place)
        bin_folder = place.python.parent
        prepared = place.shared / "preprocessed" / "Dataset001_peers"
        smaller = ["-gpu_memory_target", f"{place.peers.nnunet_gb:g}", "-overwrite_plans_name", plans] if small else []

        def plan_and_preprocess() -> Cost:
            _raw(place)
            command = ["nnUNetv2_plan_and_preprocess", "-d", "1", "-c", "2d", "-np", "1", "-npfp", "1", *smaller]
            one = {**environment, "nnUNet_n_proc_DA": "1"}  # its planner asks for threads by it
            cost = measured([str(bin_folder / command[0]), *command[1:]], place.log(), one)
            shutil.copy(place.data / "splits_final.json", prepared / "splits_final.json")
            return cost

        prepare = _once(place, plan_and_preprocess)
        named = ["-tr", "BudgetTrainer", "-p", plans, "-device", "cpu"]
        train = measured([str(bin_folder / "nnUNetv2_train"), "1", "2d", "0", *named], place.log(), environment)
        fold = place.out / "results" / "Dataset001_peers" / f"BudgetTrainer__{plans}__2d" / "fold_0"
        moments = []
        for kept in json.loads((fold / "marks.json").read_text(encoding="utf-8")):
            mirrored = place.peers.mirrored or kept["mark"] == 1
            predict = measured(
                [str(bin_folder / "nnUNetv2_predict"), "-i", str(place.data / "test" / "imagesTr"), "-o",
                 str(place.masks(kept["mark"])), "-d", "1", "-c", "2d", "-f", "0", "-npp", "0", "-nps", "0", "-chk",
                 f"checkpoint_mark_{kept['mark']:g}.pth", *named, *([] if mirrored else ["--disable_tta"])],
                place.log(), environment)  # fmt: skip
            moments.append(Moment(kept["mark"], kept["training_s"], kept["n_steps"], predict, mirrored))
        configuration = json.loads((prepared / f"{plans}.json").read_text(encoding="utf-8"))["configurations"]["2d"]
        plan = {key: configuration[key] for key in ("batch_size", "patch_size")}
        return Trained(prepare, train, moments, plan)

    return run


def _nnunet_environment(place: Place) -> Mapping[str, str]:
    return {
        "nnUNet_raw": str(place.shared / "raw"),
        "nnUNet_preprocessed": str(place.shared / "preprocessed"),
        "nnUNet_results": str(place.out / "results"),
        "nnUNet_extTrainer": str(HERE / "nnunet"),
        "nnUNet_n_proc_DA": "0",  # in the process itself, whose seconds are counted
        "nnUNet_compile": "f",
        "BUDGET_S": f"{place.budget_s:g}",
        "BUDGET_MARKS": ",".join(f"{mark:g}" for mark in place.peers.marks),
    }


def _raw(place: Place) -> None:
    raw = place.shared / "raw" / "Dataset001_peers"
    shutil.rmtree(raw, ignore_errors=True)
    shutil.copytree(place.data / "train", raw, copy_function=os.link)


# -- MONAI -------------------------------------------------------------------------------------------------------------


def _monai(place: Place) -> Trained:
    script = [str(place.python), str(HERE / "monai_script.py")]
    kept = place.out / "kept"
    precision = ["--bf16"] if cpu_is_faster_in_bf16() else []
    train = measured(
        [*script, "train", *precision, "--data", str(place.data / "train"),
         "--split", str(place.data / "splits_final.json"), "--out", str(kept),
         "--budget", f"{place.budget_s:g}", "--seed", str(place.seed), "--marks",
         *(f"{mark:g}" for mark in place.peers.marks)], place.log())  # fmt: skip
    moments = []
    for each in json.loads((kept / "marks.json").read_text(encoding="utf-8")):
        mark = each["mark"]
        weights = kept / f"mark_{mark:g}.pth"
        predict = measured([*script, "predict", *precision, "--data", str(place.data / "test"),
                            "--out", str(place.masks(mark)), "--weights", str(weights)], place.log())  # fmt: skip
        moments.append(Moment(mark, each["training_s"], each["n_steps"], predict))
    prepared_s = json.loads((kept / "prepared.json").read_text(encoding="utf-8"))["processor_s"]
    return Trained(Cost(round(prepared_s, 1), 0), train, moments)


TOOLS = {
    tool.name: tool
    for tool in (
        Tool(
            "glioseg",
            "glioseg",
            "glioseg",
            ("glioseg train {recipe} --data DATA --out RUN", "glioseg predict RUN NEW --out MASKS"),
            _glioseg,
        ),
        Tool(
            "nnunet",
            "nnU-Net, as it plans",
            "nnunet",
            (
                "export nnUNet_raw=… nnUNet_preprocessed=… nnUNet_results=…",
                "nnUNetv2_plan_and_preprocess -d 1 -c 2d --verify_dataset_integrity",
                "nnUNetv2_train 1 2d 0 -device cpu",
                "nnUNetv2_predict -i NEW -o MASKS -d 1 -c 2d -f 0 -device cpu",
            ),
            _nnunet(small=False),
        ),
        Tool(
            "nnunet-small",
            "nnU-Net, planned small",
            "nnunet",
            (
                "export nnUNet_raw=… nnUNet_preprocessed=… nnUNet_results=…",
                "nnUNetv2_plan_and_preprocess -d 1 -c 2d -gpu_memory_target GB -overwrite_plans_name nnUNetPlans_small",
                "nnUNetv2_train 1 2d 0 -p nnUNetPlans_small -device cpu",
                "nnUNetv2_predict -i NEW -o MASKS -d 1 -c 2d -f 0 -p nnUNetPlans_small -device cpu",
            ),
            _nnunet(small=True),
        ),
        Tool(
            "monai",
            "MONAI, a script",
            "monai",
            ("python script.py train …", "python script.py predict …"),
            _monai,
            HERE / "monai_script.py",
        ),
    )
}
