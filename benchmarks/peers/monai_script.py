"""What a careful user of MONAI writes for such a set.

After MONAI's tutorials of U-Nets: slices of volumes, its ``BasicUNet``, ``DiceLoss``, random crops around tumour and
beside it, flips and changes of intensity, mixed precision; the learning rate falls over the budget of processor
seconds. python monai_script.py train|predict --help
"""

import argparse
import json
import math
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
from monai.data import CacheDataset, DataLoader
from monai.inferers import SliceInferer
from monai.losses import DiceLoss
from monai.networks.nets import BasicUNet
from monai.transforms import (
    Compose,
    EnsureChannelFirstd,
    LoadImaged,
    MapTransform,
    NormalizeIntensityd,
    RandCropByPosNegLabeld,
    RandFlipd,
    RandScaleIntensityd,
    RandShiftIntensityd,
    SpatialPadd,
    SqueezeDimd,
)
from monai.utils import set_determinism

LARGEST_CROP = 128
LARGEST_LR = 2e-3


class ToRegions(MapTransform):
    """Label map -> a channel for each region."""

    def __init__(self, keys: list[str], regions: list[list[int]]) -> None:
        super().__init__(keys)
        self.regions = regions

    def __call__(self, data: dict) -> dict:
        """A channel for each region, in the place of the label map."""
        for key in self.key_iterator(data):
            data[key] = torch.cat([sum(data[key] == value for value in region) for region in self.regions]).float()
        return data


def described(folder: Path) -> tuple[list[list[int]], list[int], int]:
    """Regions as lists of labels, what each is painted with, and the number of channels."""
    dataset = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
    regions = [value if isinstance(value, list) else [value] for value in list(dataset["labels"].values())[1:]]
    return regions, dataset.get("regions_class_order") or [r[0] for r in regions], len(dataset["channel_names"])


def files_of(folder: Path, names: list[str]) -> list[dict]:
    images = {name: [str(file) for file in sorted((folder / "imagesTr").glob(f"{name}_*.nii.gz"))] for name in names}
    return [{"image": images[name], "label": str(folder / "labelsTr" / f"{name}.nii.gz")} for name in names]


def crop_of(case: dict) -> tuple[int, int, int]:
    """A slice, in sides that the network can halve four times, or a part of it."""
    shape = nib.load(case["label"]).shape
    return *(min(math.ceil(side / 16) * 16, LARGEST_CROP) for side in shape[:2]), 1


def network(n_channels: int, n_regions: int) -> BasicUNet:
    return BasicUNet(2, n_channels, n_regions, features=(16, 32, 64, 128, 256, 16), norm="batch")


def train(args: argparse.Namespace) -> None:
    set_determinism(args.seed)
    regions, _, n_channels = described(args.data)
    files = files_of(args.data, json.loads(args.split.read_text(encoding="utf-8"))[0]["train"])
    crop = crop_of(files[0])
    keys = ["image", "label"]
    transforms = Compose(
        [
            LoadImaged(["image"]),
            LoadImaged(["label"]),
            EnsureChannelFirstd(["label"]),
            NormalizeIntensityd(["image"], nonzero=True, channel_wise=True),
            SpatialPadd(keys, crop),
            RandCropByPosNegLabeld(keys, "label", crop, pos=1, neg=1, num_samples=4),
            SqueezeDimd(keys, dim=-1),
            ToRegions(["label"], regions),
            RandFlipd(keys, prob=0.5, spatial_axis=0),
            RandScaleIntensityd(["image"], factors=0.1, prob=0.5),
            RandShiftIntensityd(["image"], offsets=0.1, prob=0.5),
        ]
    )
    data = CacheDataset(files, transforms, num_workers=1, progress=False)
    prepared_s = time.process_time()
    loader = DataLoader(data, batch_size=4, shuffle=True)
    model = network(n_channels, len(regions))
    optimiser = torch.optim.AdamW(model.parameters(), lr=LARGEST_LR)
    # not `DiceCELoss`: of several channels it takes them for classes that exclude each other, which regions do not
    dice_of, entropy_of = DiceLoss(sigmoid=True, batch=True), torch.nn.BCEWithLogitsLoss()
    marks, kept, n_steps, share = list(args.marks), [], 0, 0.0
    while share < 1:
        for batch in loader:
            for group in optimiser.param_groups:
                group["lr"] = LARGEST_LR * 0.5 * (1 + math.cos(math.pi * min(share, 1)))
            optimiser.zero_grad()
            with torch.autocast("cpu", torch.bfloat16, enabled=args.bf16):
                logits = model(batch["image"].as_tensor()).float()
            target = batch["label"].as_tensor()
            (dice_of(logits, target) + entropy_of(logits, target)).backward()
            optimiser.step()
            n_steps += 1
            spent_s = time.process_time() - prepared_s
            share = spent_s / args.budget
            while marks and share >= marks[0]:
                kept.append({"mark": marks[0], "training_s": spent_s, "n_steps": n_steps})
                torch.save(model.state_dict(), args.out / f"mark_{marks.pop(0):g}.pth")
            if share >= 1:
                break
    (args.out / "marks.json").write_text(json.dumps(kept), encoding="utf-8")
    (args.out / "prepared.json").write_text(json.dumps({"processor_s": prepared_s}), encoding="utf-8")


def predict(args: argparse.Namespace) -> None:
    regions, painted, n_channels = described(args.data)
    model = network(n_channels, len(regions))
    model.load_state_dict(torch.load(args.weights, weights_only=True))
    model.eval()
    names = [file.name.removesuffix(".nii.gz") for file in sorted((args.data / "labelsTr").glob("*.nii.gz"))]
    steps = Compose([LoadImaged(["image"]), NormalizeIntensityd(["image"], nonzero=True, channel_wise=True)])
    for name in names:
        (case,) = files_of(args.data, [name])
        image = steps({"image": case["image"]})["image"].as_tensor()[None]
        sides = [math.ceil(side / 16) * 16 for side in image.shape[2:4]]
        infer = SliceInferer(spatial_dim=2, roi_size=sides, sw_batch_size=8)
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=args.bf16):
            probabilities = infer(image, model)[0].float().sigmoid().numpy()
        mask = np.zeros(probabilities.shape[1:], np.uint8)
        for value, region in zip(painted, probabilities, strict=True):
            mask[region > 0.5] = value
        nib.save(nib.Nifti1Image(mask, nib.load(case["image"][0]).affine), args.out / f"{name}.nii.gz")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["train", "predict"])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--split", type=Path)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--budget", type=float)
    parser.add_argument("--marks", type=float, nargs="*", default=[1.0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--bf16", action="store_true", help="where the processor is faster in it")
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    {"train": train, "predict": predict}[args.what](args)


if __name__ == "__main__":
    main()
