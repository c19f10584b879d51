"""python THIS_FILE model.onnx mask.nii.gz t1n=a.nii.gz t2f=b.nii.gz …, all on one grid; for research use only."""

import numpy as np


def visible(v):
    """Where a modality (X, Y, Z) is neither background nor the noise in it."""
    if v.min() >= 0 and 10 < v.max() <= 255 and (v == np.rint(v)).all():  # of 8 bit
        bright, lit = v > 10, v != 0
        return lit if lit.sum() - bright.sum() <= 0.125 * bright.sum() else bright
    values, counts = np.unique(v[np.ix_(*[(0, n - 1) for n in v.shape])], return_counts=True)  # of the corners
    common = values[counts.argmax()]
    if counts.max() > counts.sum() / 2 and (common != v.max() or v.max() == v.min()):
        return v != common
    return v > v.min() + 10 / 255 * (v.max() - v.min())


def normalised(v, clip, how):
    v = np.clip(v, *np.percentile(v, clip)) if clip else v
    low, scale = (v.min(), np.ptp(v)) if how == "min-max" else (v.mean(dtype="f8"), v.std(dtype="f8"))
    return v if how == "none" else (v - low) / scale if np.ptp(v) > 0 else v * 0


def resized(a, *shape):
    """The last two axes over the same extent, linearly; by a wider triangle where new pixels are larger."""
    for axis, m, n in zip((-2, -1), a.shape[-2:], shape):
        centres = ((np.arange(n) + 0.5) * m / n - 0.5).clip(0, m - 1)
        w = np.clip(1 - np.abs(centres[:, None] - np.arange(m)) / max(m / n, 1), 0, None)
        a = a if m == n else np.moveaxis(np.tensordot(w / w.sum(axis=1, keepdims=True), a, (1, axis)), 0, axis)
    return a.astype("f4")


if __name__ == "__main__":
    import json
    import sys

    import nibabel as nib
    import onnxruntime
    from components import painted  # the file beside this one

    net, files = onnxruntime.InferenceSession(sys.argv[1]), dict(word.split("=", 1) for word in sys.argv[3:])
    b, painting = (json.loads(net.get_modelmeta().custom_metadata_map[name]) for name in ("bundle", "painting"))
    p, names, around, sets = b["prepare"], b["modalities"], b["slices"]["n_neighbours"], b["modality_sets"]
    if set(files) not in map(set, [names, *sets]):
        sys.exit(f"give a file for each of {names}, or of one of {sets}")
    scans, to = {n: nib.load(f) for n, f in files.items()}, {"axial": "LPS", "coronal": "LIP", "sagittal": "PIL"}
    pair = nib.io_orientation(affine := scans[min(scans)].affine), nib.orientations.axcodes2ornt(to[p["plane"]])
    turn, back = (nib.orientations.ornt_transform(*each) for each in (pair, pair[::-1]))
    raw = {n: nib.apply_orientation(np.asarray(s.dataobj, "f4"), turn).T for n, s in scans.items()}  # (Z, Y, X)
    brain = np.any([visible(v.T).T for v in raw.values()], axis=0)
    crop = p["crop_to_brain"] and brain.any()  # of a scan that shows nothing all is kept
    box = [np.any(brain | (not crop), a).nonzero()[0][[0, -1]] + [0, 1] for a in ((1, 2), (0, 2), (0, 1))]
    if crop and p["size"]:
        side = max(high - low for low, high in box[1:])
        box[1:] = [((low + high - side) // 2, (low + high - side) // 2 + side) for low, high in box[1:]]
    within = tuple(slice(max(low, 0), high) for low, high in box)
    pads = [(max(-low, 0), max(high - n, 0)) for (low, high), n in zip(box, brain.shape)]
    brain_cut = np.pad(brain[within], pads)
    size = [p["size"] or n for n in brain_cut.shape[1:]]
    extra = [max(a, n) - n for a, n in zip(b["shape"] or size, size)]
    kept = [slice(n // 2, n // 2 + length) for n, length in zip(extra, size)]
    images = np.zeros((len(brain_cut), len(names), *size), "f2")
    for name, v in raw.items():
        v, counted = np.pad(v[within], pads), brain_cut | (not p["brain_only"])
        v[counted] = normalised(v[counted], p["clip_percentiles"], p["normalise"]) if counted.any() else 0
        images[:, names.index(name)] = resized(np.where(counted, v, 0), *size)
    wide = np.pad(images, [(0, 0), (0, 0), *((n // 2, n - n // 2) for n in extra)]).astype("f4")
    flips = {"none": [()], "lr": [(3,), ()], "all": [(), (3,), (2,), (2, 3)]}[b["predict"]["flips"]]
    probabilities, labels = np.zeros((len(b["regions"]), *brain_cut.shape), "f4"), np.zeros(brain.shape, "u1")
    for z in np.flatnonzero(images.any(axis=(1, 2, 3))):
        shown = np.concatenate(wide[np.arange(z - around, z + around + 1).clip(0, len(wide) - 1)])[None]
        views = [np.flip(net.run(None, {"images": np.flip(shown, f).copy()})[0], f) for f in flips]
        shows = images[z].any(axis=0) | (not b["predict"]["black_is_background"])
        probabilities[:, z] = resized(np.mean(views, axis=0)[0, :, *kept] * shows, *brain_cut.shape[1:])
    cut = tuple(slice(before, before + n) for (before, _), n in zip(pads, labels[within].shape))
    for value, row, threshold, over, *least in painting:  # from the largest region to the smallest
        inside = painted(probabilities[row][cut], threshold, *least, affine)
        labels[within][inside & np.isin(labels[within], over)] = value
    nib.save(nib.Nifti1Image(nib.apply_orientation(labels.T, back), affine), sys.argv[2])
