"""Write ``docs/peers.md`` and its pictures from ``benchmarks/peers/results``: python docs/make_peers_page.py."""

from __future__ import annotations

import ast
import json
import statistics
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

_ROOT = Path(__file__).parents[1]
_PEERS = _ROOT / "benchmarks" / "peers"
sys.path.insert(0, str(_PEERS))

from sets import SETS  # noqa: E402
from tools import TOOLS, Tool  # noqa: E402

PAGE = Path(__file__).with_name("peers.md")
IMAGES = Path(__file__).with_name("images")
_COLORS = {"glioseg": "#0072b2", "nnunet": "#d55e00", "nnunet-small": "#e69f00", "monai": "#009e73"}
_MARKERS = {"glioseg": "o", "nnunet": "^", "nnunet-small": "s", "monai": "D"}
_HEAD = """# Comparison with nnU-Net and MONAI

glioseg, [nnU-Net][1] and a script of the kind that [MONAI][2]'s tutorials teach are compared on the same patients,
files, split and number of processor seconds, by one scorer. Each is trained on one thread of a processor and scored
on patients that none of them had seen. This is a comparison of **what the first minutes of a training without a GPU
give**, which glioseg is made for and nnU-Net is not; it says nothing about a day on a GPU, where nnU-Net is the one to
beat. The measurements are made by `benchmarks/peers/run.py`; this page and its pictures are written from them by
`docs/make_peers_page.py`.

[1]: https://github.com/MIC-DKFZ/nnUNet
[2]: https://monai.io
"""
_HOW = """## How it was done

- **Files.** NIfTI in nnU-Net's layout, written once by `glioseg convert` or `glioseg phantom`, and read by all tools.
  The test patients lie in a folder of their own; the validation patients are the same for all.
- **Budget.** Processor seconds of training, user and system, measured by each tool's own process and not by
  wall-clock time, because the machine was shared. The budget begins when the data is ready. Each tool's learning rate
  falls over the whole budget, so an intermediate score is that of an unfinished training, not of a shorter one.
- **glioseg.** The shipped recipe with `train.max_minutes` and the changes that are stated with each set.
- **nnU-Net.** Configuration `2d`, `-device cpu`, fold 0 alone. Its planner's own option `-gpu_memory_target` is set
  to the value stated with each set, because the batches that it plans for a GPU with 8 GB leave few updates in
  such a budget: planned for 1 GB, a batch has 66 slices of the phantoms and an update takes about two seconds.
  Network, loss with deep supervision, augmentation and optimiser (SGD, Nesterov momentum 0.99, rate 0.01, polynomial
  decay) are its own. `benchmarks/peers/nnunet/budget_trainer.py` changes only the length: the rate decays
  over the budget instead of 1000 epochs, an epoch has 5 updates and one validation step instead of 250 and 50,
  and the validation at the end is left out. Augmentation runs in the training process, without `torch.compile`.
  Predictions are made without helper processes (`-npp 0 -nps 0`) and with mirrored views, its default.
- **MONAI.** `benchmarks/peers/monai_script.py`: its `BasicUNet` in two dimensions with batch normalisation, Dice and
  cross-entropy, crops inside and outside the tumour, flips and intensity changes, AdamW with a cosine decay of the
  rate from 0.002, bfloat16 where the processor is faster in it. Network, normalisation and rate are the best of four
  (`UNet` and `BasicUNet`, instance and batch normalisation) on validation patients of the phantom, in 15 s each: an
  advantage on the phantoms, as glioseg has one. Its preparation (loading and normalising the scans) is part of the
  training process and repeated for each training. MONAI is a library, so this is one script of many; an expert in it
  would write a better one.
- **Scorer.** `glioseg score` for all tools: Dice per patient on the files' grid, mean over patients.
"""
_BETTER = """## What they do better

- **nnU-Net** plans network, patch and batch from the data, in 2-D, 3-D and as a cascade, cross-validates, and chooses
  among configurations and ensembles. With a GPU and a day it is the reference of the field, and its results there
  do not depend on who runs it. It has been tried on hundreds of data sets of all organs; glioseg knows only brain
  tumours.
- **MONAI** is a library for everything in medical imaging: hundreds of transforms and networks, deployment,
  labelling, federated training. Anyone with an idea that no tool foresees is better off there. glioseg itself takes
  networks, losses and the oracles of its tests from it.
- Both have been used, read and fixed by thousands of people; glioseg has not.

## What glioseg is made for

Two commands from a folder as it was downloaded to masks of new patients: glioseg reads the published layouts, splits
by patient, crops to the brain, evaluates with intervals and writes a report; its recipes are made for minutes on a
processor. The others ask for a particular layout, or for code.

## What this comparison cannot say

"""


def results(folder: Path = _PEERS / "results") -> Sequence[Mapping[str, Any]]:
    """All trainings, in the order of sets, tools and seeds."""
    every = [json.loads(file.read_text(encoding="utf-8")) for file in folder.glob("*.json")]
    return sorted(every, key=lambda r: (list(SETS).index(r["set"]), list(TOOLS).index(r["tool"]), r["seed"]))


def page(found: Sequence[Mapping[str, Any]]) -> str:
    """The whole page."""
    names = dict.fromkeys(each["set"] for each in found)
    sections = [line for name in names for line in _section([each for each in found if each["set"] == name])]
    return "\n".join([_HEAD, *sections, _HOW, *_typed(found), _BETTER + _limits(found), *_again(found)]) + "\n"


def _section(of_set: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    first = of_set[0]
    peers, tools = SETS[first["set"]], _by_tool(of_set)
    yield f"## {peers.about[0].upper()}{peers.about[1:]}"
    yield ""
    yield (
        f"{first['n_train']} patients for training and validation, {first['n_test']} for test; "
        f"{first['budget_s']:g} processor seconds of training. glioseg: recipe "
        f"{', '.join(f'`{each}`' for each in (peers.recipe, *peers.changes))}.{_planned(tools)}"
    )
    yield from ("", peers.note)
    yield ""
    yield f"![Mean Dice of the test patients over the seconds of training](images/peers-{first['set']}.svg)"
    yield ""
    yield from (_ONE if max(map(len, tools.values())) == 1 else _SEVERAL, "")
    if not all(moment["as_default"] for run in of_set for moment in run["moments"]):
        yield from ("Hollow marks: predicted without mirrored views; with them nnU-Net takes four times as long.", "")
    regions = list(first["moments"][-1]["dice"])
    yield from ("| | runs | updates | " + " | ".join(f"Dice {region}" for region in regions) + " |",)
    yield "|---|---|---|" + "---|" * len(regions)
    for name, runs in tools.items():
        dice = " | ".join(_dice([run["moments"][-1]["dice"][region] for run in runs]) for region in regions)
        steps = _median([run["moments"][-1]["n_steps"] for run in runs], ",.0f")
        yield f"| {TOOLS[name].words} ({runs[0]['version']}) | {len(runs)} | {steps} | {dice} |"
    yield from ("", f"Highest: {'; '.join(_highest(tools, region) for region in regions)}.", "")
    yield (
        "| | preparation, s | training, start-up included, s | file to file, s per patient "
        "| preparation, MB | training, MB | prediction, MB |"
    )
    yield "|---|---|---|---|---|---|---|"
    for name, runs in tools.items():
        usual = [moment for run in runs for moment in run["moments"] if moment["as_default"]]
        cells = (
            _median([run["prepare"]["processor_s"] for run in runs], ".0f"),
            _median([run["train"]["processor_s"] for run in runs], ".0f"),
            _median([moment["predict_s_per_case"] for moment in usual], ".1f"),
            _largest([run["prepare"]["peak_mb"] for run in runs]),
            _largest([run["train"]["peak_mb"] for run in runs]),
            _largest([moment["predict_peak_mb"] for moment in usual]),
        )
        yield f"| {TOOLS[name].words} | {' | '.join(cells)} |"
    yield ""


_ONE = (
    "One training of each: how much another would differ was not measured. In brackets: the 95 % interval over the "
    "test patients. Costs are processor seconds; preparation was measured once, prediction once for each filled mark "
    "of the curve (median, with lowest and highest in brackets). Memory is that of the largest process."
)
_SEVERAL = (
    "Figures are medians over trainings, with lowest and highest in brackets; costs are processor seconds. Memory is "
    "that of the largest process."
)


def _planned(tools: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """What nnU-Net made of the data for how much memory, where it was measured."""
    runs = tools.get("nnunet-small")
    if runs is None:
        return ""
    plan, peers = runs[0]["plan"], SETS[runs[0]["set"]]
    sides = " × ".join(str(side) for side in plan["patch_size"])
    return f" nnU-Net: planned for {peers.nnunet_gb:g} GB, slices of {sides} in batches of {plan['batch_size']}."


def _highest(tools: Mapping[str, Sequence[Mapping[str, Any]]], region: str) -> str:
    """Whose median of the mean Dice is the highest, as the table shows it."""
    middle = {
        name: format(statistics.median(run["moments"][-1]["dice"][region]["mean"] for run in runs), ".3f")
        for name, runs in tools.items()
    }
    most = max(middle.values())
    return f"{region} {' and '.join(TOOLS[name].words for name, each in middle.items() if each == most)}"


def _dice(of_runs: Sequence[Mapping[str, Any]]) -> str:
    """Mean over patients, with its interval of one training, or the spread of several."""
    if len(of_runs) > 1:
        return _median([each["mean"] for each in of_runs], ".3f")
    low, high = of_runs[0]["ci95"]
    return f"{of_runs[0]['mean']:.3f} ({low:.3f}–{high:.3f})"


def _by_tool(found: Sequence[Mapping[str, Any]]) -> Mapping[str, Sequence[Mapping[str, Any]]]:
    return {name: [run for run in found if run["tool"] == name] for name in dict.fromkeys(run["tool"] for run in found)}


def _largest(peaks_mb: Sequence[float]) -> str:
    """Of several peaks; 0 is a part of another process."""
    return f"{max(peaks_mb):,.0f}" if any(peaks_mb) else "–"


def _median(values: Sequence[float], digits: str) -> str:
    middle = format(statistics.median(values), digits)
    return middle if len(values) == 1 else f"{middle} ({min(values):{digits}}–{max(values):{digits}})"


def _typed(found: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield from ("## What the user types", "", "From files in the tool's own layout to masks of new patients.", "")
    yield from ("| | commands | lines of code | |", "|---|---|---|---|")
    for name in _by_tool(found):
        tool = TOOLS[name]
        commands = "<br>".join(f"`{command.format(recipe='lgg')}`" for command in tool.typed)
        yield f"| {tool.words} | {len(tool.typed)} | {_n_lines(tool) or '–'} | {commands} |"
    yield ""


def _n_lines(tool: Tool) -> int:
    """Lines of the user's script that hold code; text that explains is none."""
    if tool.script is None:
        return 0
    tree = ast.parse(tool.script.read_text(encoding="utf-8"))
    statements = [node for node in ast.walk(tree) if isinstance(node, ast.stmt)]
    text = {node for node in statements if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)}
    inner = {line for node in statements if node not in text for line in _lines(node)}
    explained = {line for node in text for line in _lines(node)}
    lines = [line.strip() for line in tool.script.read_text(encoding="utf-8").splitlines()]
    return sum(bool(lines[at - 1]) and not lines[at - 1].startswith("#") for at in inner - explained)


def _lines(node: ast.stmt) -> range:
    return range(node.lineno, (node.end_lineno or node.lineno) + 1)


def _limits(found: Sequence[Mapping[str, Any]]) -> str:
    fewest = min(Counter((run["set"], run["tool"]) for run in found).values())
    processors = "; ".join(
        f"{peers.about}: {', '.join(own)}"
        for name, peers in SETS.items()
        if (own := dict.fromkeys(run["processor"] for run in found if run["set"] == name))
    )
    return (
        f"How the tools compare with a GPU, with longer trainings or on other data. {_not_measured(found)}The smallest "
        f"number of trainings in a row is {fewest}, and the test patients are few: a difference of a tenth may be "
        f"chance. Processors: {processors}. PyTorch {', '.join(dict.fromkeys(run['torch'] for run in found))}. Many "
        "other jobs ran beside them, which also slows work measured in processor seconds, and not always equally for "
        "all tools.\n"
    )


def _not_measured(found: Sequence[Mapping[str, Any]]) -> str:
    """The sets and tools that have scripts but no results."""
    sets = [peers.about for name, peers in SETS.items() if name not in {"tiny", *(run["set"] for run in found)}]
    tools = [tool.words for name, tool in TOOLS.items() if name not in {run["tool"] for run in found}]
    return f"Not measured: {'; '.join([*sets, *tools])}. " if sets or tools else ""


def _again(found: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    names = ",".join(dict.fromkeys(run["set"] for run in found))
    yield from ("## How to repeat it", "", "```", "python -m venv nnunet && nnunet/bin/pip install nnunetv2")
    yield f"python benchmarks/peers/run.py WORK --nnunet nnunet/bin/python --lgg kaggle_3m --brats DIR --sets {names}"
    yield from ("python docs/make_peers_page.py", "```")


def curves(of_set: Sequence[Mapping[str, Any]]) -> Figure:
    """Mean Dice of each region over processor seconds of training: medians, and every run as a faint line.

    Marks of predictions that were cheaper than the tool's default are hollow.
    """
    regions = list(of_set[0]["moments"][-1]["dice"])
    figure, axes = plt.subplots(1, len(regions), figsize=(3.4 * len(regions) + 1.4, 3.4), sharey=True, squeeze=False)
    for axis, region in zip(axes[0], regions, strict=True):
        for name, runs in _by_tool(of_set).items():
            _draw(axis, name, runs, region)
        axis.set(title=region, xlabel="processor seconds of training", ylim=(0, 1), xlim=(0, None))
        axis.spines[["top", "right"]].set_visible(False)
    axes[0][0].set_ylabel("mean Dice")
    axes[0][-1].legend(frameon=False, fontsize=8)
    return figure


def _draw(axis: Axes, name: str, runs: Sequence[Mapping[str, Any]], region: str) -> None:
    color = _COLORS[name]
    for run in runs:
        points = [(each["training_s"], each["dice"][region]["mean"]) for each in run["moments"]]
        axis.plot(*zip(*points, strict=True), color=color, alpha=0.3, linewidth=1)
    columns = list(zip(*(run["moments"] for run in runs), strict=True))
    seconds = [statistics.median(each["training_s"] for each in column) for column in columns]
    dice = [statistics.median(each["dice"][region]["mean"] for each in column) for column in columns]
    axis.plot(seconds, dice, color=color, marker=_MARKERS[name], label=TOOLS[name].words)
    hollow = [place for place, column in enumerate(columns) if not column[0]["as_default"]]
    at = [seconds[place] for place in hollow], [dice[place] for place in hollow]
    axis.scatter(*at, marker=_MARKERS[name], edgecolors=color, facecolors="white", zorder=3)


def main() -> None:
    """Page and pictures."""
    mpl.rcParams["svg.hashsalt"] = "glioseg"  # the same file each time
    found = results()
    if not found:
        raise SystemExit(f"{_PEERS / 'results'} holds no results; run {_PEERS / 'run.py'} first")
    PAGE.write_text(page(found), encoding="utf-8")
    for name in dict.fromkeys(each["set"] for each in found):
        figure = curves([each for each in found if each["set"] == name])
        figure.tight_layout()
        figure.savefig(IMAGES / f"peers-{name}.svg", metadata={"Date": None})
        plt.close(figure)


if __name__ == "__main__":
    main()
