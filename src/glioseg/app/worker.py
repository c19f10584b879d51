"""The process that predicts: it holds the network, reads jobs line by line from stdin and tells of them on stdout.

    {"case": …, "opened": …, "upload": …, "key": …, "model": …, "modalities": {…}, "folder": …}      ->
    {"case": …, "step": "network", "share": 0.4}, …, {"case": …, "done": {…}} or {"case": …, "failed": {…}}

Whoever wants a case stopped ends the process. Where stdin ends, the program that asked is gone, and so is this one.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any


def main() -> None:
    """Work until stdin ends."""
    messages = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)  # what a library prints is no answer
    jobs: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_read_jobs, args=(jobs,), daemon=True).start()
    from glioseg.app.predicting import Predicting

    predicting = Predicting()
    while True:
        job = json.loads(jobs.get())
        case = job["case"]

        def tell(values: Mapping[str, Any], case: str = case) -> None:
            messages.write(f"{json.dumps({'case': case, **values})}\n")

        tell(_worked(predicting.predict, job, tell))


def _worked(
    predict: Callable[[Mapping[str, Any], Callable[[str, float], None]], Mapping[str, Any]],
    job: Mapping[str, Any],
    tell: Callable[[Mapping[str, Any]], None],
) -> dict[str, Any]:
    """What became of a job; whatever goes wrong with a case costs it alone."""
    from glioseg.app.answers import error_answer
    from glioseg.errors import GliosegError
    from glioseg.io.files import unforeseen

    try:
        return {"done": predict(job, lambda step, share: tell({"step": step, "share": round(share, 3)}))}
    except GliosegError as error:
        return {"failed": error_answer(error, Path(job["upload"]))}
    except Exception as error:  # noqa: BLE001 - memory that ran out, say
        what = unforeseen("the case could not be predicted", job["key"], error, may_quote=False)
        return {"failed": error_answer(what, Path(job["upload"]))}


def _read_jobs(jobs: queue.SimpleQueue[str]) -> None:
    for line in sys.stdin:
        jobs.put(line)
    os._exit(0)  # nobody is left who would be told, and a network cannot be asked to stop


if __name__ == "__main__":
    main()
