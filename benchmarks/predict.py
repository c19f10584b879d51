"""Whole-volume 2-D prediction of a 240 x 240 x 155 case against the plain fp32 loop over all slices.

python benchmarks/predict.py [--rounds 3] [--width 32] [--every 1]

A phantom patient at 1 mm, four modalities, and a U-Net that has not learned anything, which costs the same. Ours skips
the slices that show nothing and runs batches in bfloat16 (where the processor has it), channels last; the plain loop
takes every slice by itself in fp32, and once more in the same batches. Prepared arrays in, probabilities on the working
grid out: reading, normalising and writing are alike on both sides and left out. The variants take turns within each
round; figures are medians over the rounds, and ratios are what to read on a machine that does other things too.
``--every 4`` takes every fourth slice, for a quick look at the ratio.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from glioseg.cohorts.phantom import PhantomOptions, generate_patient
from glioseg.core import Image
from glioseg.inference.options import PredictOptions
from glioseg.inference.slices import predict_slices
from glioseg.machine.device import cpu_is_faster_in_bf16
from glioseg.networks.build import build_model
from glioseg.networks.unet import UNetOptions
from glioseg.preparation.case import prepare_arrays
from glioseg.preparation.options import PrepareOptions
from glioseg.preparation.slices import SliceOptions

N_REGIONS = 3
Volume = npt.NDArray[np.float16]


@dataclass(frozen=True)
class Prepared:
    """Images (Z, C, Y, X) and the share of each slice (Z,) that is not black."""

    images: Volume
    non_black: npt.NDArray[np.float32]


def prepared_case(every: int) -> Prepared:
    """A phantom patient of 240 x 240 x 155 voxels, not cropped."""
    image: Image = generate_patient(PhantomOptions(n_patients=1, spacing_mm=1.0), 0).image
    options = PrepareOptions(crop_to_brain=False, size=None)
    arrays = prepare_arrays(image, None, image.modalities, (), options)
    return Prepared(arrays.images[::every], arrays.non_black[::every])


@torch.inference_mode()
def plain(model: nn.Module, case: Prepared, batch_size: int) -> npt.NDArray[np.float32]:
    """What a tutorial writes: every slice, fp32, default layout."""
    found = []
    for start in range(0, len(case.images), batch_size):
        images = torch.from_numpy(case.images[start : start + batch_size].astype(np.float32))
        found.append(torch.sigmoid(model(images)).numpy())
    return np.moveaxis(np.concatenate(found), 0, 1)


def ours(model: nn.Module, case: Prepared) -> npt.NDArray[np.float32]:
    """As ``glioseg predict`` does it, with the options that recipes have unless they say otherwise."""
    shown = np.flatnonzero(SliceOptions().keeps(case.non_black)).astype(np.int64)
    return predict_slices(
        model,
        lambda indices: case.images[indices].astype(np.float32),
        shown,
        n_slices=len(case.images),
        bf16=cpu_is_faster_in_bf16(),
        batch_size=PredictOptions().batch_size,
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--every", type=int, default=1)
    asked = parser.parse_args()
    case = prepared_case(asked.every)
    n_channels = case.images.shape[1]

    def network() -> nn.Module:
        return build_model(UNetOptions(width=asked.width, depth=4), n_channels, N_REGIONS, seed=0).eval()

    slow, fast = network(), network().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    batch_size = PredictOptions().batch_size
    variants: dict[str, Callable[[], npt.NDArray[np.float32]]] = {
        "plain fp32 loop, slice by slice": lambda: plain(slow, case, 1),
        f"plain fp32 loop, batches of {batch_size}": lambda: plain(slow, case, batch_size),
        "ours": lambda: ours(fast, case),
    }
    shown = int(SliceOptions().keeps(case.non_black).sum())
    print(f"{len(case.images)} slices of {case.images.shape[2]}x{case.images.shape[3]}, {shown} of them show something")
    times: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(asked.rounds):
        for name, run in variants.items():
            started = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - started)
    base = statistics.median(times["plain fp32 loop, slice by slice"])
    for name, values in times.items():
        median = statistics.median(values)
        print(
            f"{name:<36} {median:7.2f} s ({min(values):.2f}-{max(values):.2f})   {base / median:.2f} x the plain loop"
        )


if __name__ == "__main__":
    main()
