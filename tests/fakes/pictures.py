"""Miniatures of ``lgg``, ``pairs`` and ``classes``: pictures of noise, with a square for a tumour.

They are made by hand, and not by the writers, for what the writers never write: the publisher's own names and dates,
slices that are missing, channels that repeat FLAIR, folders and patterns of every kind, JPEG and colours, and pixels
that a test knows one by one (writers scale to 8 bit and LGG to 256 x 256). What the writers write of these layouts is
read in ``test_write`` and ``tests/cli``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow

Pixels = npt.NDArray[Any]

LGG_HEADER = (
    "Patient,RNASeqCluster,neoplasm_histologic_grade,tumor_tissue_site,histological_type,laterality,gender,"
    "age_at_initial_pathologic,death01"
)


def save(path: Path, pixels: Pixels) -> Path:
    """Write (rows, columns) or (rows, columns, 3) as the ending says; folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Pillow.fromarray(pixels).save(path)
    return path


def grey(seed: int, rows: int = 12, columns: int = 16) -> Pixels:
    """(rows, columns) uint8 noise: no two seeds alike."""
    return np.random.default_rng(seed).integers(1, 255, (rows, columns)).astype(np.uint8)


def colour(seed: int, rows: int = 12, columns: int = 16) -> Pixels:
    """(rows, columns, 3) uint8 noise: no two channels alike."""
    return np.random.default_rng(seed).integers(1, 255, (rows, columns, 3)).astype(np.uint8)


def square(rows: int = 12, columns: int = 16, value: int = 255) -> Pixels:
    """(rows, columns) uint8: a mask of 4 x 3 pixels."""
    mask = np.zeros((rows, columns), dtype=np.uint8)
    mask[2:5, 3:7] = value
    return mask


def write_lgg(
    root: Path,
    scans: Mapping[str, Iterable[int]],
    *,
    flat: bool = False,
    filled: Mapping[str, Sequence[int]] | None = None,
    table: bool = True,
) -> Path:
    """kaggle_3m: scan (``TCGA_CS_4941_19960909``) -> slice numbers; ``filled``: scan -> channels that are FLAIR."""
    for index, (scan, numbers) in enumerate(scans.items()):
        folder = root if flat else root / scan
        for number in numbers:
            pixels = colour(1000 * index + number)
            for channel in (filled or {}).get(scan, ()):
                pixels[..., channel] = pixels[..., 1]
            save(folder / f"{scan}_{number}.tif", pixels)
            save(folder / f"{scan}_{number}_mask.tif", square(value=255 if number % 2 else 0))
    if table:
        rows = [f"{scan.rsplit('_', 1)[0]},2,{1 + i % 2},1,1,3,{1 + i % 2},{40 + i},0" for i, scan in enumerate(scans)]
        (root / "data.csv").write_text("\n".join([LGG_HEADER, *rows]) + "\n")
    return root


def write_pairs(
    root: Path,
    names: Iterable[str],
    *,
    image: str = "images/{}.png",
    mask: str = "masks/{}.png",
    colours: bool = False,
) -> Path:
    """A picture and a mask for each name, at the paths that the patterns give."""
    for index, name in enumerate(names):
        save(root / image.format(name), colour(index) if colours else grey(index))
        save(root / mask.format(name), square())
    return root


def write_brisc(root: Path, kinds: Mapping[str, int], part: str = "train") -> Path:
    """BRISC 2025: kind and plane of a picture (``gl_ax``) -> how many; those without tumour lie in one tree alone."""
    folders = {"gl": "glioma", "me": "meningioma", "pi": "pituitary", "no": "no_tumor"}
    names = [kind for kind, n_pictures in kinds.items() for _ in range(n_pictures)]
    for number, kind in enumerate(names, start=1):
        name, pixels = f"brisc2025_{part}_{number:05d}_{kind}_t1", grey(number)
        save(root / "classification_task" / part / folders[kind[:2]] / f"{name}.jpg", pixels)
        if not kind.startswith("no"):
            save(root / "segmentation_task" / part / "images" / f"{name}.jpg", pixels)
            save(root / "segmentation_task" / part / "masks" / f"{name}.png", square())
    return root


def write_classes(root: Path, classes: Mapping[str, int], ending: str = ".jpg") -> Path:
    """Class folder (may hold a part: ``Training/yes``) -> number of pictures."""
    for index, (folder, n_pictures) in enumerate(classes.items()):
        for number in range(n_pictures):
            save(root / folder / f"{Path(folder).name[0].upper()}{number + 1}{ending}", grey(100 * index + number))
    return root
