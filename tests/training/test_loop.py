"""The loop on a toy: exact across interruptions, honest about what stops it."""

from __future__ import annotations

import copy
import json
import math
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import pytest
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from glioseg.errors import OptionError
from glioseg.training.checkpoint import BEST, LATEST, Identity, ResumeError, load_checkpoint
from glioseg.training.compiled import compiled, compiler_faults
from glioseg.training.job import Batch, Job, Validation
from glioseg.training.log import LOG, LogRow, read_log
from glioseg.training.loop import TrainingError, fit
from glioseg.training.losses import build_loss
from glioseg.training.options import TrainOptions
from glioseg.training.progress import Outcome, TrainingPlace
from glioseg.training.randomness import DrawKey, generator
from glioseg.training.terms import loss_of


@dataclass(frozen=True)
class _Toy:
    """Twenty 8x8 pictures; one pixel more than 0.5 is tumour."""

    poisoned: int | None = None
    n: int = 20

    @property
    def is_positive(self) -> npt.NDArray[np.bool_]:
        return np.asarray(np.arange(self.n) % 2 == 0)

    def take(self, indices: npt.NDArray[np.int64], key: DrawKey) -> Batch:
        images = np.stack([np.random.default_rng(int(i)).random((1, 8, 8), dtype=np.float32) for i in indices])
        if self.poisoned is not None and self.poisoned in indices:
            images[:] = np.nan
        return Batch(images, (images > 0.5).astype(np.uint8))

    def name(self, index: int) -> str:
        return f"case {index}"


def _augment(
    images: Tensor, regions: Tensor, weights: Tensor | None, key: DrawKey
) -> tuple[Tensor, Tensor, Tensor | None]:
    noise = generator(key).normal(size=tuple(images.shape)).astype(np.float32)
    return images + 0.1 * torch.from_numpy(noise), regions, weights


def _loss(logits: Tensor | Any, regions: Tensor, weights: Tensor | None) -> Tensor:
    return nn.functional.binary_cross_entropy_with_logits(logits, regions.float())


_softmax_loss = build_loss(loss_of("ce+dice", ce={"weights": (1.0, 2.0)}))


def _model(n_logits: int = 1) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.3), nn.Conv2d(4, n_logits, 1)
        )


def _validate(model: nn.Module, loss: Any = _loss) -> Validation:
    batch = _Toy().take(np.arange(20), DrawKey(0, "patches"))
    with torch.no_grad():
        cost = float(loss(model(torch.from_numpy(batch.images)), torch.from_numpy(batch.targets), None))
    return Validation(cost, -cost, {"dice": 1 - cost})


def _options(**changes: Any) -> TrainOptions:
    values = {"epochs": 3, "batch_size": 6, "lr": 0.01, "checkpoint_every": 1, "ema": 0.9, "clip_norm": 1.0}
    return TrainOptions(**(values | changes))


def _job(run: Path, options: TrainOptions, items: _Toy | None = None, **changes: Any) -> Job:
    job = Job(
        options=options,
        items=items or _Toy(),
        augment=_augment,
        loss=_loss,
        validate=_validate,
        identity=Identity({"lr": options.lr}, "split", "data"),
        run=run,
        on_epoch=lambda row: None,
        on_step=lambda place: None,
        on_start=lambda place: None,
    )
    return replace(job, **changes)


def _fit(run: Path, options: TrainOptions, items: _Toy | None = None, **changes: Any) -> Outcome:
    run.mkdir(exist_ok=True)
    model = _model(2 if changes.get("loss") is _softmax_loss else 1)
    return fit(Fabric(accelerator="cpu", devices=1), model, _job(run, options, items, **changes))


def _without_times(rows: list[LogRow]) -> list[dict[str, Any]]:
    return [{key: value for key, value in row.to_json().items() if not key.endswith("_s")} for row in rows]


def _same(one: Any, other: Any, path: str = "") -> None:
    """Equal bit for bit, but for times."""
    if isinstance(one, Mapping):
        assert one.keys() == other.keys(), path
        for key in one:
            if not str(key).endswith("_s") and key != "log_size":
                _same(one[key], other[key], f"{path}/{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), path
        for number, (a, b) in enumerate(zip(one, other, strict=True)):
            _same(a, b, f"{path}/{number}")
    elif isinstance(one, Tensor):
        assert torch.equal(one, other), path
    else:
        assert one == other, path


_VARIANTS: dict[str, dict[str, Any]] = {
    "adam": {"optimiser": "adam"},
    "sgd-one-cycle": {"optimiser": "sgd", "schedule": "one-cycle"},
    "plateau": {"schedule": {"kind": "plateau", "patience": 0}, "ema": None},
    "polynomial-share-accumulate": {"schedule": "polynomial", "tumour_share": 0.75, "accumulate": 3},
    "cosine-every-other-epoch": {"schedule": "cosine", "validate_every": 2},
    "softmax": {"schedule": "one-cycle"},
    "compiled": {"compile": "kernels"},
}
_JOBS: dict[str, dict[str, Any]] = {
    "softmax": {"loss": _softmax_loss, "validate": partial(_validate, loss=_softmax_loss)}
}


_COMPILED = (pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning"))
"""The compiler takes seconds, and imports what PyTorch itself calls old."""


@pytest.mark.parametrize(
    "variant", [pytest.param(name, marks=_COMPILED if name == "compiled" else ()) for name in _VARIANTS]
)
def test_interrupted_at_every_step_ends_bit_for_bit_the_same(tmp_path: Path, variant: str) -> None:
    options, job = _options(**_VARIANTS[variant]), _JOBS.get(variant, {})
    whole = _fit(tmp_path / "whole", options, **job)
    assert whole.finished
    pieces = tmp_path / "pieces"
    for n_steps in (1, 2, 4, 7, 8, 11):
        stopped = _fit(pieces, options.model_copy(update={"max_steps": n_steps}), **job)
        assert not stopped.finished
        assert stopped.progress.n_updates == n_steps
        torch.manual_seed(n_steps)  # whatever else happened to the process must not matter
    assert _fit(pieces, options, **job).finished
    for name in (LATEST, BEST):
        _same(load_checkpoint(tmp_path / "whole" / name), load_checkpoint(pieces / name))
    rows = _without_times(read_log(pieces / LOG))
    assert rows == _without_times(read_log(tmp_path / "whole" / LOG))
    assert [row["epoch"] for row in rows] == [0, 1, 2]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_compiler_makes_the_same_network(tmp_path: Path) -> None:
    options = _options(optimiser="sgd", epochs=1)
    model = _model()
    (dropout,) = (layer for layer in model.modules() if isinstance(layer, nn.Dropout))
    dropout.p = 0.0  # what is dropped comes of another generator
    ends = []
    for how in ("no", "kernels"):
        (tmp_path / how).mkdir()
        job = _job(tmp_path / how, options.model_copy(update={"compile": how}))
        fit(Fabric(accelerator="cpu", devices=1), copy.deepcopy(model), job)
        ends.append(load_checkpoint(tmp_path / how / LATEST)["model"])
    assert ends[0].keys() == ends[1].keys()
    for name, weights in ends[0].items():
        torch.testing.assert_close(ends[1][name], weights, rtol=1e-4, atol=1e-5)


def test_graphs_need_cuda_and_the_compiler_one_process() -> None:
    cpu = torch.device("cpu")
    with pytest.raises(OptionError, match="CUDA graphs need a CUDA device; found cpu"):
        compiled(_model(), "graphs", cpu, 1)
    with pytest.raises(OptionError, match="one process alone; found 2 processes"):
        compiled(_model(), "kernels", cpu, 2)
    with pytest.raises(ValueError, match="exclude each other"):
        _options(compile="kernels", recompute=True)


def test_what_the_compiler_cannot_do_is_said_in_a_sentence() -> None:
    from torch._dynamo.exc import BackendCompilerFailed

    with pytest.raises(OptionError, match=r"cannot make this network; found .*no C"), compiler_faults():
        raise BackendCompilerFailed("inductor", ValueError("no C++ compiler"), None)
    with pytest.raises(RuntimeError, match="out of memory"), compiler_faults():
        raise RuntimeError("out of memory")


# -- limits ------------------------------------------------------------------------------------------------------------


def _counting(scores: list[float]) -> Callable[[nn.Module], Validation]:
    """A validation whose scores are given, one after the other."""
    left = iter(scores)
    return lambda model: Validation(1.0, next(left), {})


@pytest.mark.parametrize("n_steps", [3, 4, 6])
def test_a_limit_is_validated_and_leaves_nothing_behind_once_the_training_goes_on(tmp_path: Path, n_steps: int) -> None:
    """Epochs have 4 steps; only the third is validated by itself. Step 4 ends an epoch, 3 and 6 lie inside one."""
    options = _options(validate_every=3)
    whole = _fit(tmp_path / "whole", options, validate=_counting([0.3]))
    run = tmp_path / "run"
    stopped = _fit(run, options.model_copy(update={"max_steps": n_steps}), validate=_counting([0.9]))
    assert (stopped.met_limit, stopped.n_new) == (True, n_steps)
    best = load_checkpoint(run / BEST)
    assert best["score"] == 0.9
    _same(best["model"], load_checkpoint(run / LATEST)["mean"]["weights"])
    rows = read_log(run / LOG)
    assert [row.val_score for row in rows if row.val_score is not None] == [0.9]
    assert rows[-1].train_loss > 0
    again = _fit(run, options.model_copy(update={"max_steps": n_steps}), validate=_counting([0.9]))
    assert again.n_new == 0
    assert len(read_log(run / LOG)) == len(rows)
    assert _fit(run, options, validate=_counting([0.3])).finished
    assert whole.finished
    for name in (LATEST, BEST):
        _same(load_checkpoint(tmp_path / "whole" / name), load_checkpoint(run / name))
    assert _without_times(read_log(run / LOG)) == _without_times(read_log(tmp_path / "whole" / LOG))


def test_a_limit_after_a_regular_validation_takes_the_better_of_both(tmp_path: Path) -> None:
    options, run = _options(), tmp_path / "run"
    _fit(run, options.model_copy(update={"max_steps": 6}), validate=_counting([0.5, 0.4]))
    assert load_checkpoint(run / BEST)["score"] == 0.5
    _fit(run, options.model_copy(update={"max_steps": 7}), validate=_counting([0.8]))
    assert load_checkpoint(run / BEST)["score"] == 0.8
    assert _fit(run, options, validate=_counting([0.6, 0.1])).progress.best_score == 0.6  # as if never stopped
    assert load_checkpoint(run / BEST)["score"] == 0.6


def test_a_limit_where_a_validation_has_just_been_is_not_validated_twice(tmp_path: Path) -> None:
    outcome = _fit(tmp_path / "run", _options(max_steps=4), validate=_counting([0.5]))
    assert outcome.met_limit
    assert [row.val_score for row in read_log(tmp_path / "run" / LOG)] == [0.5]


def test_ctrl_c_is_not_validated(tmp_path: Path) -> None:
    stopped = _fit(tmp_path / "run", _options(), on_step=lambda place: "Ctrl-C", validate=_counting([]))
    assert not stopped.met_limit
    assert not (tmp_path / "run" / BEST).exists()


class _Clock:
    """Each step takes a second; what else asks for the time costs nothing."""

    def __init__(self) -> None:
        self.time_s = 0.0

    def monotonic(self) -> float:
        return self.time_s

    def tick(self, place: TrainingPlace) -> None:
        self.time_s += 1.0


def _rates(run: Path) -> list[float]:
    return [row.learning_rate for row in read_log(run / LOG)]


def test_a_schedule_falls_over_the_time_that_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """300 epochs of 4 steps in 2 minutes at a second a step: 120 steps, over which the cosine falls to 0."""
    clock = _Clock()
    monkeypatch.setattr("glioseg.training.loop.time.monotonic", clock.monotonic)
    options = _options(epochs=300, schedule="cosine", max_minutes=2.0, ema=None, checkpoint_every=1000)
    outcome = _fit(tmp_path / "run", options, on_step=clock.tick)
    assert outcome.reason == "train.max_minutes = 2"
    assert outcome.progress.n_updates == 120
    assert outcome.progress.horizon == pytest.approx(120, abs=2)
    rates = _rates(tmp_path / "run")
    assert rates[14] == pytest.approx(0.005, rel=0.1)  # half of the peak at half of the time
    assert rates[-1] < 1e-5
    raised = options.model_copy(update={"max_minutes": 4.0})
    longer = _fit(tmp_path / "run", raised, on_step=clock.tick)
    assert longer.progress.n_updates == 240  # the schedule then falls over four minutes
    assert _rates(tmp_path / "run")[34] == pytest.approx(0.01 * (1 + math.cos(math.pi * 140 / 240)) / 2, rel=0.1)


def test_without_the_limit_the_schedule_falls_over_the_epochs_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """100 epochs of 4 steps, stopped after two minutes at a second a step, and continued without a limit."""
    clock = _Clock()
    monkeypatch.setattr("glioseg.training.loop.time.monotonic", clock.monotonic)
    options = _options(epochs=100, schedule="cosine", max_minutes=2.0, ema=None, checkpoint_every=1000)
    assert _fit(tmp_path / "run", options, on_step=clock.tick).met_limit
    assert _rates(tmp_path / "run")[29] < 1e-4
    outcome = _fit(tmp_path / "run", options.model_copy(update={"max_minutes": None}), on_step=clock.tick)
    assert (outcome.finished, outcome.progress.horizon) == (True, None)
    assert _rates(tmp_path / "run")[49] == pytest.approx(0.005, rel=0.02)  # half of the peak in the middle of 100


def test_a_training_that_ends_in_time_never_sees_the_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = _options(epochs=20, schedule="cosine", ema=None)
    _fit(tmp_path / "free", options)
    clock = _Clock()
    monkeypatch.setattr("glioseg.training.loop.time.monotonic", clock.monotonic)
    outcome = _fit(tmp_path / "limited", options.model_copy(update={"max_minutes": 2.0}), on_step=clock.tick)
    assert (outcome.finished, outcome.progress.horizon) == (True, None)
    _same(load_checkpoint(tmp_path / "free" / LATEST), load_checkpoint(tmp_path / "limited" / LATEST))


def test_early_stopping_stays_the_end(tmp_path: Path) -> None:
    options = _options(epochs=9, early_stopping=1)
    assert _fit(tmp_path / "run", options, validate=_counting([0.5, 0.4])).finished
    again = _fit(tmp_path / "run", options, validate=_counting([]))
    assert (again.finished, again.n_new, again.progress.epoch) == (True, 0, 2)


def test_where_it_goes_on_is_told_first(tmp_path: Path) -> None:
    told: list[tuple[int, int, int, float | None]] = []

    def tell(place: TrainingPlace) -> None:
        told.append((place.epoch, place.step, place.n_updates, place.left_s))

    _fit(tmp_path / "run", _options(max_steps=6), on_start=tell)
    _fit(tmp_path / "run", _options(), on_start=tell)
    assert told[0] == (0, 0, 0, None)
    assert told[1][:3] == (1, 2, 6)
    assert told[1][3] is not None


def test_what_a_crash_left_behind_the_checkpoint_is_cut_off(tmp_path: Path) -> None:
    _fit(tmp_path / "run", _options(max_steps=5))
    with (tmp_path / "run" / LOG).open("a") as log:
        log.write('{"epoch": 1, "train_loss": 9}\n{"epo')
    _fit(tmp_path / "run", _options())
    assert [row.epoch for row in read_log(tmp_path / "run" / LOG)] == [0, 1, 2]


def test_another_recipe_is_refused_with_the_difference(tmp_path: Path) -> None:
    _fit(tmp_path / "run", _options(max_steps=2))
    with pytest.raises(ResumeError, match=r'-\s+"lr": 0.01\n.*\+\s+"lr": 0.02'):
        _fit(tmp_path / "run", _options(lr=0.02))


def test_more_epochs_extend_a_finished_training(tmp_path: Path) -> None:
    assert _fit(tmp_path / "whole", _options(epochs=4)).finished
    _fit(tmp_path / "run", _options(epochs=2))
    assert _fit(tmp_path / "run", _options(epochs=4)).progress.epoch == 4
    _same(load_checkpoint(tmp_path / "whole" / LATEST), load_checkpoint(tmp_path / "run" / LATEST))


def test_a_loss_that_is_not_a_number_names_the_cases_and_keeps_the_checkpoint(tmp_path: Path) -> None:
    _fit(tmp_path / "run", _options(max_steps=4))
    before = (tmp_path / "run" / LATEST).read_bytes()
    with pytest.raises(TrainingError, match="case 7"):
        _fit(tmp_path / "run", _options(checkpoint_every=100), _Toy(poisoned=7))
    assert (tmp_path / "run" / LATEST).read_bytes() == before


def test_early_stopping_counts_validations_without_gain(tmp_path: Path) -> None:
    scores = iter([0.5, 0.6, 0.6, 0.5, 0.9])
    outcome = _fit(
        tmp_path / "run",
        _options(epochs=5, early_stopping=2),
        validate=lambda model: Validation(1.0, next(scores), {}),
    )
    assert outcome.finished
    assert outcome.progress.epoch == 4
    assert outcome.progress.best_epoch == 1
    assert load_checkpoint(tmp_path / "run" / BEST)["score"] == 0.6


def test_the_last_model_can_be_kept_whatever_its_score(tmp_path: Path) -> None:
    scores = iter([0.9, 0.5, 0.6])
    outcome = _fit(tmp_path / "run", _options(keep="last"), validate=lambda model: Validation(1.0, next(scores), {}))
    assert outcome.progress.best_epoch == 2
    assert load_checkpoint(tmp_path / "run" / BEST)["score"] == 0.6
    assert "keep = last keeps none" in _checked(lambda: _options(keep="last", early_stopping=2))


@pytest.mark.parametrize("last_step", [3, 4, 5])
def test_a_reason_given_once_is_kept_even_at_the_end_of_an_epoch(tmp_path: Path, last_step: int) -> None:
    """Epochs have 4 steps."""
    outcome = _fit(
        tmp_path / "run", _options(), on_step=lambda place: "enough" if place.n_updates == last_step else None
    )
    assert (outcome.reason, outcome.progress.n_updates) == ("enough", last_step)


@pytest.mark.parametrize("figures", [(math.nan, 0.5), (1.0, math.nan), (math.inf, 0.5), (1.0, -math.inf)])
def test_a_validation_that_is_not_a_number_is_said_and_keeps_the_checkpoint(
    tmp_path: Path, figures: tuple[float, float]
) -> None:
    with pytest.raises(TrainingError, match=r"the validation of epoch 1 is not a number; found loss .*, score"):
        _fit(tmp_path / "run", _options(), validate=lambda model: Validation(*figures, {}))
    assert load_checkpoint(tmp_path / "run" / LATEST)["progress"]["n_updates"] == 3
    assert not (tmp_path / "run" / BEST).exists()
    assert _fit(tmp_path / "run", _options()).finished


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_before_it_stops(tmp_path: Path, number: signal.Signals) -> None:
    def at_step_five(place: TrainingPlace) -> None:
        assert place.n_total == 12
        if place.n_updates == 5:
            signal.raise_signal(number)

    outcome = _fit(tmp_path / "run", _options(checkpoint_every=100), on_step=at_step_five)
    assert not outcome.finished
    assert load_checkpoint(tmp_path / "run" / LATEST)["progress"]["n_updates"] == 5


@pytest.mark.parametrize(("number", "raised"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)])
def test_a_second_signal_leaves_the_last_checkpoint_whole(
    tmp_path: Path, number: signal.Signals, raised: type[BaseException]
) -> None:
    def twice(place: TrainingPlace) -> None:
        if place.n_updates == 5:
            signal.raise_signal(number)
            signal.raise_signal(number)

    with pytest.raises(raised):
        _fit(tmp_path / "run", _options(), on_step=twice)
    assert load_checkpoint(tmp_path / "run" / LATEST)["progress"]["n_updates"] == 4
    assert not list((tmp_path / "run").glob(".writing-*"))


def test_accumulation_gives_the_gradient_of_the_whole_batch(tmp_path: Path) -> None:
    def without_normalisation() -> nn.Module:
        return nn.Sequential(nn.Conv2d(1, 1, 3, padding=1, bias=False))

    ends = []
    for accumulate in (1, 3):
        torch.manual_seed(0)
        model = without_normalisation()
        run = tmp_path / str(accumulate)
        run.mkdir()
        options = _options(accumulate=accumulate, optimiser={"kind": "sgd", "momentum": 0.0}, max_steps=2, ema=None)
        fit(Fabric(accelerator="cpu", devices=1), model, _job(run, options))
        ends.append(load_checkpoint(run / LATEST)["model"]["0.weight"])
    torch.testing.assert_close(ends[0], ends[1])


def test_the_best_model_holds_the_mean_weights(tmp_path: Path) -> None:
    seen: list[dict[str, Tensor]] = []

    def keep(model: nn.Module) -> Validation:
        seen.append({name: value.clone() for name, value in model.state_dict().items()})
        return Validation(0.0, float(len(seen)), {})

    _fit(tmp_path / "run", _options(), validate=keep)
    best, latest = load_checkpoint(tmp_path / "run" / BEST), load_checkpoint(tmp_path / "run" / LATEST)
    _same(best["model"], seen[-1])
    _same(best["model"], latest["mean"]["weights"])
    assert not torch.equal(best["model"]["0.weight"], latest["model"]["0.weight"])


def test_a_full_disk_is_said_and_the_old_checkpoint_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from glioseg.errors import FileError

    _fit(tmp_path / "run", _options(max_steps=2))
    before = (tmp_path / "run" / LATEST).read_bytes()

    def full(state: object, file: BinaryIO) -> None:
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(FileError, match="No space left"):
        _fit(tmp_path / "run", _options())
    assert (tmp_path / "run" / LATEST).read_bytes() == before
    assert not list((tmp_path / "run").glob(".writing-*"))


def test_log_rows_are_json_without_nan(tmp_path: Path) -> None:
    _fit(tmp_path / "run", _options())
    rows = [json.loads(line) for line in (tmp_path / "run" / LOG).read_text().splitlines()]
    assert {
        "epoch",
        "train_loss",
        "val_loss",
        "val_score",
        "learning_rate",
        "dice",
        "images_per_s",
        "elapsed_s",
    } == rows[0].keys()


def _checked(make: Callable[[], object]) -> str:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the text is what is tested
        make()
    return str(caught.value)


def test_a_batch_that_cannot_be_parted_is_refused() -> None:
    assert "cannot be taken in 4 equal parts" in _checked(lambda: TrainOptions(batch_size=6, accumulate=4))
