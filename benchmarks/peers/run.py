"""glioseg beside nnU-Net and MONAI: same patients, same files, same processor seconds, one scorer.

python benchmarks/peers/run.py WORK --nnunet ENV/bin/python [--monai ENV/bin/python] [--lgg kaggle_3m] [--brats DIR]
    [--sets phantom,lgg] [--tools glioseg,monai] [--seeds 0,1,2] [--budget S]

Each training leaves one small JSON file in ``benchmarks/peers/results``, from which docs/make_peers_page.py writes the
page; what has its file is not repeated, so that the command can be stopped and asked for again. Costs are processor
seconds of a process and its children, on one thread, whatever else the machine does; two may run side by side on other
seeds. nnU-Net takes no seed: its repetitions differ by chance. Linux.
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sets import SETS, ready
from tools import TOOLS, Place, Tool, Trained

import glioseg

RESULTS = Path(__file__).parent / "results"
_PACKAGES = {"glioseg": "glioseg", "nnunet": "nnunetv2", "monai": "monai"}


def main() -> None:
    """Run what is missing, one training after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, help="folder for files, runs and masks; kept")
    parser.add_argument("--nnunet", type=Path, help="interpreter of an environment with nnunetv2")
    parser.add_argument("--monai", type=Path, default=Path(sys.executable), help="one with MONAI; default: this one")
    parser.add_argument("--lgg", type=Path, help="the folder kaggle_3m")
    parser.add_argument("--brats", type=Path, help="a folder of BraTS patients with all four modalities")
    parser.add_argument("--sets", default="phantom,lgg")
    parser.add_argument("--tools", default=",".join(TOOLS))
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--budget", type=float, help="processor seconds of a training; default: the set's own")
    parser.add_argument("--results", type=Path, default=RESULTS)
    asked = parser.parse_args()
    pythons = {"glioseg": Path(sys.executable), "monai": asked.monai, "nnunet": asked.nnunet}
    for seed in map(int, asked.seeds.split(",")):
        for peers in (SETS[name] for name in asked.sets.split(",")):
            for tool in (TOOLS[name] for name in asked.tools.split(",")):
                python = pythons[tool.python]
                if python is None:
                    raise SystemExit(f"{tool.name} needs --{tool.python}, an interpreter where it is installed")
                budget_s = asked.budget or peers.budget_s
                kept = asked.results / f"{peers.name}-{tool.name}-{seed}.json"
                if kept.exists():
                    continue
                data = ready(peers, asked.work, getattr(asked, peers.scans) if peers.scans else None)
                out = asked.work / "runs" / kept.stem
                shutil.rmtree(out, ignore_errors=True)
                out.mkdir(parents=True)
                shared = asked.work / "shared" / f"{peers.name}-{tool.name}"
                shared.mkdir(parents=True, exist_ok=True)
                # `absolute`, not `resolve`: an interpreter of an environment is a link to one that knows nothing of it
                place = Place(
                    peers, data.absolute(), out.absolute(), shared.absolute(), python.absolute(), seed, budget_s
                )
                _keep(kept, _record(place, tool, tool.run(place)))
                print(f"{kept.stem}: {_main_dice(kept)}", flush=True)


def _record(place: Place, tool: Tool, trained: Trained) -> dict[str, Any]:
    """What is kept of a training."""
    n_cases = len(list((place.data / "test" / "labelsTr").iterdir()))
    return {
        "set": place.peers.name,
        "tool": tool.name,
        "seed": place.seed,
        "budget_s": place.budget_s,
        "version": _version(place.python, _PACKAGES[tool.python]),
        "torch": _version(place.python, "torch"),
        "processor": _processor(),
        "n_train": len(list((place.data / "train" / "labelsTr").iterdir())),
        "n_test": n_cases,
        "prepare": asdict(trained.prepare),
        "train": asdict(trained.train),
        "plan": dict(trained.plan),
        "moments": [
            {
                "mark": moment.mark,
                "training_s": round(moment.training_s, 1),
                "n_steps": moment.n_steps,
                "predict_s_per_case": round(moment.predict.processor_s / n_cases, 2),
                "predict_peak_mb": moment.predict.peak_mb,
                "as_default": moment.as_default,
                "dice": _dice(place, moment.mark),
            }
            for moment in trained.moments
        ],
    }


def _dice(place: Place, mark: float) -> dict[str, dict[str, Any]]:
    """Region -> Dice of the test patients, each scored once: `glioseg score`, for all tools alike."""
    scored = glioseg.score(place.data / "test", place.masks(mark)).to_json()
    return {
        name: {"mean": dice["case_mean"], "median": dice["case_median"], "ci95": dice["case_ci95"]}
        for name, dice in ((name, metrics["dice"]) for name, metrics in scored["regions"].items())
    }


def _version(python: Path, package: str) -> str:
    command = [str(python), "-c", f"import importlib.metadata as m; print(m.version({package!r}))"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = (line.partition(":")[2] for line in lines if "model name" in line)
    return next(names, platform.processor()).strip()


def _keep(path: Path, record: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".part")
    beside.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    beside.replace(path)


def _main_dice(path: Path) -> str:
    last = json.loads(path.read_text(encoding="utf-8"))["moments"][-1]
    return f"{last['n_steps']} steps, " + ", ".join(f"{name} {each['mean']:.3f}" for name, each in last["dice"].items())


if __name__ == "__main__":
    main()
