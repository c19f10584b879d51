"""How long `glioseg inspect` takes on a set of the published LGG's size (3,929 slices), figures included.

python benchmarks/inspect_lgg.py KAGGLE_3M

Patients are repeated under other names (links) until the published number of slices is reached; the search for
duplicates has more to do than on the real set, since the copies are found.
"""

from __future__ import annotations

import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PUBLISHED_SLICES = 3929


def grown(source: Path, target: Path) -> int:
    """Link the patients of ``source`` into ``target``, again under other names until there are enough slices."""
    patients = sorted(path for path in source.iterdir() if path.is_dir())
    n_slices, number = 0, 0
    while n_slices < PUBLISHED_SLICES:
        patient = patients[number % len(patients)]
        name = patient.name if number < len(patients) else f"TCGA_XX_{number:04d}_20000101"
        (target / name).mkdir()
        for path in sorted(patient.glob("*.tif"), key=lambda path: (len(path.name), path.name)):
            if n_slices == PUBLISHED_SLICES:
                break
            (target / name / path.name.replace(patient.name, name)).symlink_to(path)
            n_slices += re.search(r"_mask\.tif$", path.name) is None
        number += 1
    return n_slices


def main() -> None:
    """Measure once and print."""
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        data, out = Path(folder) / "kaggle_3m", Path(folder) / "report"
        data.mkdir()
        n_slices = grown(Path(sys.argv[1]).resolve(), data)
        started = time.perf_counter()
        command = [sys.executable, "-m", "glioseg", "inspect", str(data), "--out", str(out), "--quiet"]
        subprocess.run(command, check=False, capture_output=True)
        wall = time.perf_counter() - started
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = used.ru_utime + used.ru_stime
    memory = used.ru_maxrss / 1024
    print(f"{n_slices} slices: {wall:.1f} s, {cpu:.1f} s of processor time, largest process {memory:.0f} MB")


if __name__ == "__main__":
    main()
