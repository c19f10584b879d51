"""How long the phantom cohort takes: 20 patients at 2 mm, generated and written on all cores.

python benchmarks/phantom.py [N_PATIENTS] [SPACING_MM]
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from glioseg.cohorts.phantom import PhantomOptions
from glioseg.cohorts.write import write_phantom


def main() -> None:
    """Measure once and print."""
    n_patients = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    spacing_mm = float(sys.argv[2]) if len(sys.argv) > 2 else 2.0
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        write_phantom(PhantomOptions(n_patients=n_patients, spacing_mm=spacing_mm), Path(folder) / "out", "brats2023")
        wall = time.perf_counter() - started
    print(f"{n_patients} patients at {spacing_mm:g} mm: {wall:.1f} s")


if __name__ == "__main__":
    main()
