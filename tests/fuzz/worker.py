"""The process that reads mutants: a line of JSON in, a line of JSON out. What ends it would have ended a command."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
import traceback
import warnings
import zlib
from pathlib import Path

import numpy as np

from glioseg.errors import GliosegError
from glioseg.machine.memory import peak_of_process_mib
from tests.fuzz.mutate import mutant
from tests.fuzz.targets import TARGETS


def bytes_of(name: str, data: bytes, number: int) -> bytes:
    """Mutant ``number`` of a seed: the same whenever and wherever it is made."""
    return mutant(data, name, np.random.default_rng((zlib.crc32(name.encode()), number)))


def answer(name: str, target: str, seed: Path, number: int) -> dict[str, object]:
    """What became of a mutant: ``read``, ``refused`` or, where any other error came through, ``traceback``."""
    with tempfile.TemporaryDirectory(prefix="glioseg-fuzz-") as folder:
        home = Path(folder) / seed.parent.name
        shutil.copytree(seed.parent, home)
        (home / name).write_bytes(bytes_of(name, seed.read_bytes(), number))
        began = time.monotonic()
        outcome, text = "read", ""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                TARGETS[target](home / name)
        except GliosegError as error:
            outcome, text = "refused", str(error)[:300]
        except Exception:  # noqa: BLE001 - which is what is looked for
            outcome, text = "traceback", traceback.format_exc(limit=-6)
        took = time.monotonic() - began
    return {"outcome": outcome, "text": text, "seconds": took, "peak_mb": peak_of_process_mib() or 0.0}


def main() -> None:
    """Answer until the input ends."""
    for line in sys.stdin:
        asked = json.loads(line)
        answered = answer(asked["name"], asked["target"], Path(asked["seed"]), asked["number"])
        sys.__stdout__.write(json.dumps(answered) + "\n")  # type: ignore[union-attr]
        sys.__stdout__.flush()  # type: ignore[union-attr]


if __name__ == "__main__":
    main()
