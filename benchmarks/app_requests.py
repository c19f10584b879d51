"""What the application answers to a thousand requests at once, how fast, and whether its memory grows by the round.

python benchmarks/app_requests.py [--at-once N] [--rounds N]

It asks its own server, at this machine's own address, and stops by itself after ``--minutes`` at the latest.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import httpx

CALLS = (
    "/api/session",
    "/api/cases",
    "/api/models",
    "/api/cases/case-none",
    "/api/timeline/patient-none",
    "/docs",
    "/",
)
_TIMEOUT_S = 120.0


def memory_mb(process: int) -> float:
    """What the server holds of the machine's memory."""
    status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    return int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) / 1024


async def ask(base: str, token: str, at_once: int) -> tuple[Counter[int], list[float]]:
    """One round: all requests at once; how often each status was answered, and after how many seconds."""
    statuses: Counter[int] = Counter()
    seconds: list[float] = []
    limits = httpx.Limits(max_connections=at_once)
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=base, headers=headers, limits=limits, timeout=_TIMEOUT_S) as client:

        async def one(number: int) -> None:
            begun = time.perf_counter()
            answer = await client.get(CALLS[number % len(CALLS)])
            seconds.append(time.perf_counter() - begun)
            statuses[answer.status_code] += 1

        await asyncio.gather(*(one(number) for number in range(at_once)))
    return statuses, sorted(seconds)


def started(folder: Path) -> tuple[subprocess.Popen[str], str, str]:
    """A server of its own, its address and its token."""
    command = [sys.executable, "-m", "glioseg", "app", str(folder / "worklist"), "--no-browser"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    found = re.search(r"(http://\S+)/\?token=(\S+)", process.stderr.readline())
    assert found is not None
    return process, found[1], found[2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--at-once", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--minutes", type=float, default=5)
    options = parser.parse_args()
    end = time.monotonic() + 60 * options.minutes
    with tempfile.TemporaryDirectory() as folder:
        process, base, token = started(Path(folder))
        try:
            for number in range(1, options.rounds + 1):
                statuses, seconds = asyncio.run(ask(base, token, options.at_once))
                said = ", ".join(f"{count} x {status}" for status, count in sorted(statuses.items()))
                middle, late = seconds[len(seconds) // 2], seconds[int(len(seconds) * 0.95)]
                memory = memory_mb(process.pid)
                print(f"round {number}: {said}; {middle:.2f} s, 95 % {late:.2f} s; {memory:.0f} MB", flush=True)
                if time.monotonic() > end:
                    break
        finally:
            process.terminate()
            process.wait(30)


if __name__ == "__main__":
    main()
