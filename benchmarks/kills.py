"""Kills every command at moments of chance, goes on, and compares what is left with what was never killed.

A command is killed (SIGKILL, by turns its first process alone and all of them) at moments drawn, with a fixed seed,
over the time from its first words to its end, and asked for again until it has been killed so often; where it ends
before its kill, it begins anew. What counts: nothing half written is trusted, no call ends in a traceback or refuses to
go on, no process stays behind, and whenever a command has ended its files are, bit for bit, those of the same command
that was never killed, but for times and places. At last two trainings are begun on one folder. Linux and macOS.

    python benchmarks/kills.py [KILLS_OF_EACH_COMMAND]
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import torch

from glioseg.training.checkpoint import load_checkpoint

_MOST_S = 300.0
"""No command takes as long on these eight patients; one that does counts as hanging."""
_GONE_S = 20.0
"""Within which the other processes of a command end when its first one is killed."""
_CHANGES = (
    "model.width=4",
    "model.depth=2",
    "train.epochs=6",
    "train.max_minutes=none",
    "train.checkpoint_every=2",
    "prepare.size=32",
    "evaluate.n_resamples=50",
)
_TIMES = re.compile(rb'"(\w*_s|\w*_per_s|peak_memory_mib|started|written)": [^,}\n]+')


@dataclass(frozen=True)
class Command:
    """A command line, the folder that it fills, and which of its files must be the same however often it was killed.

    Args:
        name: of the command.
        words: its arguments.
        out: the folder.
        files: patterns in it.
        fills: whether the folder is the command's alone, so that it begins anew where this is gone.
    """

    name: str
    words: Sequence[object]
    out: Path
    files: Sequence[str]
    fills: bool


@dataclass
class Outcome:
    """What came of killing a command.

    Args:
        kills: how often it was killed.
        ends: how often it ended, and was compared.
        refused: how often it ended with another code than 0.
        tracebacks: how often it showed one, or hung.
        stayed: kills after which a process stayed behind.
        differing: files of the ended ones that are not those of the undisturbed one.
    """

    kills: int = 0
    ends: int = 0
    refused: int = 0
    tracebacks: int = 0
    stayed: int = 0
    differing: set[str] = field(default_factory=set)


class Call:
    """A command at work, what it says on stderr, and when it said its first words."""

    def __init__(self, command: Command) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "glioseg", *map(str, command.words)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self.said: list[bytes] = []
        self.begun = threading.Event()
        self._listener = threading.Thread(target=self._listen, args=(self.process.stderr,), daemon=True)
        self._listener.start()

    def _listen(self, stream: IO[bytes]) -> None:
        for line in stream:
            self.said.append(line)
            self.begun.set()
        self.begun.set()

    def ended(self, within_s: float) -> bool:
        """Wait for the end; whether it came."""
        try:
            self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            return False
        self._listener.join(_GONE_S)
        return True

    def kill(self, *, alone: bool) -> bool:
        """Kill the first process alone or all of them; whether none of them stays behind."""
        if alone:
            self.process.kill()
        else:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._listener.join(_GONE_S)  # stderr is closed when the last process that holds it is gone
        if not self._listener.is_alive():
            return True
        os.killpg(self.process.pid, signal.SIGKILL)
        return False


def main() -> None:
    """Print a table; exit with 1 where something counts that must not."""
    n_kills = int(sys.argv[1]) if len(sys.argv) > 1 else 13
    _say("| command | kills | compared | refused | tracebacks | processes left | files that differ | undisturbed, s |")
    _say(f"|---|{'---|' * 7}")
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="glioseg-kills-") as folder:
        place = Path(folder)
        phantom = ("phantom", place / "data", "--patients", 8, "--spacing", 6, "--layout", "brats2023")
        _undisturbed(Command("phantom", phantom, place / "data", (), fills=True))
        outcomes = []
        pairs = zip(
            _commands(place / "whole", place / "data"), _commands(place / "killed", place / "data"), strict=True
        )
        for seed, (reference, command) in enumerate(pairs):
            if command.name == "report":  # which shows how long the training took
                shutil.rmtree(command.out)
                shutil.copytree(reference.out, command.out)
            start_s, took_s = _undisturbed(reference)
            outcome = _killed(command, reference, n_kills, took_s - start_s, random.Random(seed))
            _say(_row(command.name, outcome, took_s))
            outcomes.append(outcome)
        _say(_row("two `train` at once", _two_at_once(place, outcomes), None))
    _say(f"\n{time.monotonic() - began:.0f} s")
    sys.exit(any(each.refused or each.tracebacks or each.stayed or each.differing for each in outcomes))


def _commands(place: Path, data: Path) -> list[Command]:
    """In the order in which one needs the other."""
    run, cache, masks = place / "run", place / "cache", place / "masks"
    return [
        Command(
            "cache",
            ("cache", data, "--out", cache, "--recipe", "demo", "--set", "prepare.size=32"),
            cache,
            ("*/*.npy", "*/*.json"),
            fills=True,
        ),
        _training(run, cache, data),
        Command(
            "evaluate",
            ("evaluate", run, "--part", "test", "--cache", cache, "--device", "cpu"),
            run,
            ("evaluation-test.json", "cases-test.csv"),
            fills=False,
        ),
        Command(
            "report",
            ("report", run, "--cache", cache, "--device", "cpu"),
            run,
            ("report.html", "figures/*"),
            fills=False,
        ),
        Command(
            "predict",
            ("predict", run, data, "--out", masks, "--skip-done", "--device", "cpu"),
            masks,
            ("*.nii.gz", "*.json", "*.png", "summary.csv", "predictions.html"),
            fills=True,
        ),
    ]


def _training(run: Path, cache: Path, data: Path) -> Command:
    settings = [word for change in _CHANGES for word in ("--set", change)]
    return Command(
        "train",
        (
            "train",
            "demo",
            "--data",
            data,
            "--out",
            run,
            "--cache",
            cache,
            "--device",
            "cpu",
            "--no-evaluate",
            *settings,
        ),
        run,
        ("*.pth", "log.jsonl", "split.json", "data.json", "scans.json", "recipe.toml", "bundle/*"),
        fills=True,
    )


def _undisturbed(command: Command) -> tuple[float, float]:
    """Seconds to the first words and to the end of a command that nobody kills."""
    started, call = time.monotonic(), Call(command)
    call.begun.wait(_MOST_S)
    start_s = time.monotonic() - started
    if not call.ended(_MOST_S) or call.process.returncode:
        raise SystemExit(b"".join([f"{command.name} does not run\n".encode(), *call.said]).decode(errors="replace"))
    return start_s, time.monotonic() - started


def _killed(command: Command, reference: Command, n_kills: int, work_s: float, rng: random.Random) -> Outcome:
    """Kill it so often, each time at a moment of its own, let it end, and compare."""
    outcome = Outcome()
    while outcome.kills < n_kills:
        call = Call(command)
        call.begun.wait(_MOST_S)
        if call.ended(rng.uniform(0.0, 1.0) * work_s):
            _judge(call, command, reference, outcome)
            if command.fills:
                shutil.rmtree(command.out)
        else:
            outcome.kills += 1
            outcome.stayed += not call.kill(alone=outcome.kills % 2 == 1)
    call = Call(command)
    if not call.ended(_MOST_S):
        call.kill(alone=False)
        outcome.tracebacks += 1
    _judge(call, command, reference, outcome)
    return outcome


def _judge(call: Call, command: Command, reference: Command, outcome: Outcome) -> None:
    """Count what an ended call has said, and what it has written that the undisturbed one has not."""
    outcome.ends += 1
    said = b"".join(call.said)
    outcome.refused += call.process.returncode != 0
    outcome.tracebacks += b"Traceback" in said
    differing = {name for name in _names(reference, command) if not _same(reference.out / name, command.out / name)}
    outcome.differing |= differing
    if call.process.returncode or differing:
        sys.stderr.write(f"{command.name}: {', '.join(sorted(differing))}\n{said.decode(errors='replace')}\n")


def _two_at_once(place: Path, outcomes: list[Outcome]) -> Outcome:
    """Two trainings on one folder, begun together: one is told of the other, which ends as if it had been alone."""
    both = _training(place / "killed" / "both", place / "killed" / "cache", place / "data")
    alone = _training(place / "whole" / "run", place / "whole" / "cache", place / "data")
    calls = [Call(both), Call(both)]
    outcome = Outcome()
    outcomes.append(outcome)
    ended = [call.ended(_MOST_S) for call in calls]
    outcome.tracebacks += sum(
        not end or b"Traceback" in b"".join(call.said) for call, end in zip(calls, ended, strict=True)
    )
    told = [call for call in calls if b"another process is at work in this folder" in b"".join(call.said)]
    worked = [call for call in calls if call.process.returncode == 0]
    if len(told) == 1 and len(worked) == 1:
        _judge(worked[0], both, alone, outcome)
        _say(f"of two trainings on one folder one went on, the other was told (code {told[0].process.returncode})")
    else:
        outcome.refused = 2 - len(worked)
        _say("\n".join(b"".join(call.said).decode(errors="replace") for call in calls))
    return outcome


def _names(*commands: Command) -> set[str]:
    """The files of commands that count, those that only one of them has included."""
    return {
        path.relative_to(command.out).as_posix()
        for command in commands
        for pattern in command.files
        for path in command.out.glob(pattern)
        if not path.name.startswith(".")
    }


def _same(one: Path, other: Path) -> bool:
    return one.exists() and other.exists() and _content(one) == _content(other)


def _content(path: Path) -> object:
    """What a file holds, but for times and the places of this test."""
    if path.suffix == ".pth":
        return _plain(load_checkpoint(path))
    data = path.read_bytes()
    if path.suffix in (".json", ".jsonl", ".csv", ".toml", ".html"):
        data = _TIMES.sub(b"", data).replace(b"/killed/", b"/whole/").replace(b"/both", b"/run")
        if b'"sha256"' in data[:20]:  # a sealed record: its content counts
            data = json.dumps(json.loads(data)["record"]).encode()
    return hashlib.sha256(data).hexdigest()


def _plain(value: Any) -> Any:  # noqa: ANN401 - a checkpoint's values are of many kinds
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items() if not str(key).endswith("_s") and key != "log_size"}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return (str(value.dtype), tuple(value.shape), value.numpy().tobytes()) if isinstance(value, torch.Tensor) else value


def _row(name: str, outcome: Outcome, took_s: float | None) -> str:
    time_s = "" if took_s is None else f"{took_s:.1f}"
    counts = (outcome.kills, outcome.ends, outcome.refused, outcome.tracebacks, outcome.stayed, len(outcome.differing))
    return f"| {name} | {' | '.join(map(str, counts))} | {time_s} |"


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
