"""A miniature of BIDS: two subjects, one with two sessions, masks among the derivatives."""

from __future__ import annotations

from pathlib import Path

from tests.fakes.volumes import labels, noise, save_volume

_IMAGES = ("T1w", "ce-gad_T1w", "T2w", "FLAIR")


def write_bids(root: Path) -> Path:
    """``sub-01`` with the sessions pre and post, ``sub-02`` without sessions and without T2w."""
    for number, name in enumerate(("sub-01_ses-pre", "sub-01_ses-post", "sub-02")):
        folder = root.joinpath(*name.split("_"), "anat")
        for place, image in enumerate(_IMAGES):
            if (name, image) != ("sub-02", "T2w"):
                save_volume(folder / f"{name}_{image}.nii.gz", noise(10 * number + place))
        derived = root.joinpath("derivatives", "readers", *name.split("_"), "anat")
        save_volume(derived / f"{name}_space-orig_dseg.nii.gz", labels(1))
        save_volume(derived / f"{name}_desc-brain_mask.nii.gz", labels(1))
    (root / "dataset_description.json").write_text('{"Name": "toy", "BIDSVersion": "1.9.0"}', encoding="utf-8")
    return root
