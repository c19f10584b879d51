"""How fast cohorts are prepared, and how memory grows with their size.

python benchmarks/prepare.py [--lgg DIR] [--brats DIR] [--cases 1 10 50] [--workers N]

Without --lgg and --brats phantom patients of the same size are written first. Cohorts of many cases are made of links
to the given ones. Every measurement runs in a process of its own, so that its memory is its own; CPU seconds stand
beside wall-clock seconds, since only they mean much on a machine that does other things too.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from glioseg.cohorts.phantom import PhantomOptions
from glioseg.cohorts.recognise import read_cohort
from glioseg.cohorts.write import write_phantom
from glioseg.core import Cohort, Source
from glioseg.io import read_grid
from glioseg.machine.memory import peak_of_process_mib
from glioseg.preparation.cache import prepare
from glioseg.preparation.options import PrepareOptions

GIB = 2**30


def repeated(cohort: Cohort, n_cases: int, folder: Path) -> Cohort:
    """A cohort of ``n_cases``, by links to the files of the cases at hand."""
    cases = []
    for number in range(n_cases):
        case = cohort.cases[number % len(cohort.cases)]
        place = folder / f"{number:04d}"
        place.mkdir()
        links: dict[Path, Path] = {}

        def linked(source: Source, place: Path = place, links: dict[Path, Path] = links) -> Source:
            for path in source.paths:
                if path not in links:
                    links[path] = place / path.name
                    links[path].symlink_to(path)
            return replace(source, paths=tuple(links[path] for path in source.paths))

        images = {name: linked(source) for name, source in case.images.items()}
        labels = None if case.labels is None else linked(case.labels)
        cases.append(replace(case, id=f"{case.id}-{number}", patient=f"{number}", images=images, labels=labels))
    return replace(cohort, cases=tuple(cases))


def measure(data: Path, n_cases: int | None, options: PrepareOptions, n_workers: int) -> None:
    """Prepare once and print what it took, as JSON."""
    cohort = read_cohort(data)
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as folder:
        links = Path(folder) / "links"
        links.mkdir()
        if n_cases is not None:
            cohort = repeated(cohort, n_cases, links)
        n_slices = sum(read_grid(next(iter(case.images.values()))).shape[2] for case in cohort.cases)
        before = (peak_of_process_mib() or 0.0) * 2**20
        wall, cpu = time.perf_counter(), time.process_time()
        prepared = prepare(cohort, options, Path(folder) / "cache", n_workers=n_workers)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        opening = time.perf_counter()
        prepare(cohort, options, Path(folder) / "cache")
        opening = time.perf_counter() - opening
        size = sum(path.stat().st_size for path in prepared.folder.iterdir())
    found = {"cases": len(cohort.cases), "slices": n_slices, "wall": wall, "cpu": cpu, "opening": opening}
    peak = (peak_of_process_mib() or 0.0) * 2**20
    print(json.dumps(found | {"before": before, "peak": peak, "size": size}))


def run(data: Path, n_cases: int | None, options: PrepareOptions, n_workers: int) -> None:
    """Measure in a process of its own and print a line."""
    call = [sys.executable, __file__, "--measure", str(data), options.model_dump_json(), json.dumps(n_cases)]
    ended = subprocess.run([*call, "--workers", str(n_workers)], check=True, capture_output=True, text=True)
    found = json.loads(ended.stdout)
    n, slices, wall, cpu = found["cases"], found["slices"], found["wall"], found["cpu"]
    print(
        f"{n:5d} cases {slices:6d} slices {n_workers} threads: {wall:7.1f} s wall, {cpu:7.1f} s CPU; "
        f"{slices / wall:6.0f} slices/s, {wall / n:6.2f} s/case ({cpu / n:5.2f} s CPU); "
        f"peak {found['peak'] / GIB:5.2f} GiB ({found['before'] / GIB:.2f} before), "
        f"cache {found['size'] / GIB:5.2f} GiB, "
        f"opened again in {found['opening']:.2f} s",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lgg", type=Path, help="folder of the LGG set")
    parser.add_argument("--brats", type=Path, help="folder of BraTS patients")
    parser.add_argument("--cases", type=int, nargs="*", default=[1, 10, 50])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        data, options, n_cases = arguments.measure
        measure(Path(data), json.loads(n_cases), PrepareOptions.model_validate_json(options), arguments.workers)
        return
    with tempfile.TemporaryDirectory() as folder:
        lgg, brats = arguments.lgg, arguments.brats
        if lgg is None:
            lgg = Path(folder) / "lgg"
            write_phantom(PhantomOptions(n_patients=20, spacing_mm=1.0), lgg, "lgg")
        if brats is None:
            brats = Path(folder) / "brats"
            write_phantom(PhantomOptions(n_patients=2, spacing_mm=1.0), brats, "brats")
        small, cropped = PrepareOptions(size=128), PrepareOptions(size=128, crop_to_brain=True)
        print(f"LGG at 128 x 128 ({lgg if arguments.lgg else 'phantom'}); target 200 slices/s on two cores")
        for n_workers in (1, arguments.workers):
            run(lgg, None, small, n_workers)
        run(lgg, None, cropped, arguments.workers)
        print(f"BraTS at its own size ({brats if arguments.brats else 'phantom'}); target 6 s a patient, below 2 GiB")
        for n_workers in (1, arguments.workers):
            run(brats, 2, PrepareOptions(), n_workers)
        run(brats, 2, PrepareOptions(size=96, normalise="min-max", normalise_over="slice"), arguments.workers)
        print("Memory as the cohort grows")
        for n_cases in arguments.cases:
            run(brats, n_cases, PrepareOptions(), arguments.workers)


if __name__ == "__main__":
    main()
