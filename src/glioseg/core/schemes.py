"""The label schemes that are known, by name, and schemes of one's own."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from glioseg.core.labels import LabelScheme
from glioseg.errors import LabelError, suggestion

_TISSUES = frozenset({"csf", "gm", "wm"})
GLIOMA_LABELS = frozenset({"NCR", "NET", "NETC", "CC", "ED", "SNFH", "ET", "RC"})
_NAMES: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("wt", "wholetumour"), "WT"),
        **dict.fromkeys(("tc", "tumourcore"), "TC"),
        **dict.fromkeys(("et", "enhancing", "enhancingtumour", "gdenhancingtumour"), "ET"),
        **dict.fromkeys(("ed", "oedema", "peritumouraloedema"), "ED"),
        **dict.fromkeys(("ncr", "necrosis", "necrotic", "necroticcore", "necrotictumourcore"), "NCR"),
        **dict.fromkeys(("ncrnet", "necroticandnonenhancingtumourcore", "necroticandnonenhancingtumour"), "NCR"),
        **dict.fromkeys(("net", "nonenhancing", "nonenhancingtumour"), "NET"),
        **dict.fromkeys(("netc", "nonenhancingtumourcore"), "NETC"),
        **dict.fromkeys(("cc", "cysticcomponent"), "CC"),
        **dict.fromkeys(("snfh", "surroundingnonenhancingflairhyperintensity"), "SNFH"),
        **dict.fromkeys(("rc", "resectioncavity"), "RC"),
        **dict.fromkeys(("gtv", "grosstumourvolume"), "GTV"),
        "csf": "CSF",
        **dict.fromkeys(("gm", "greymatter", "graymatter"), "GM"),
        **dict.fromkeys(("wm", "whitematter"), "WM"),
        "tumour": "tumour",
    }
)
"""Names of labels and regions as data sets write them (lower case, letters alone, British spelling) -> ours."""


def our_label_name(name: str) -> str:
    """``Non-enhancing tumor`` -> ``NET``; the name itself where it is none of ours."""
    return known_label_name(name) or name


def known_label_name(name: str) -> str | None:
    """``Non-enhancing tumor`` -> ``NET``; None where it is none of ours."""
    plain = re.sub(r"[^a-z]", "", name.lower()).replace("tumor", "tumour").replace("edema", "oedema")
    return _NAMES.get(plain.replace("ooedema", "oedema"))


def glioma_scheme(name: str, labels: Mapping[str, int], source: str) -> LabelScheme:
    """A scheme of glioma labels (NCR, NET, NETC, CC, ED, SNFH, ET, RC) with the regions that its labels allow."""

    def among(*names: str) -> tuple[str, ...]:
        return tuple(label for label in labels if label in names)

    whole = tuple(label for label in labels if label != "RC")
    regions = {
        "WT": whole,
        "TC": among("NCR", "NET", "NETC", "CC", "ET"),
        "ET": among("ET"),
        "NCR": among("NCR", "NET", "NETC", "CC"),
        "ED": among("ED", "SNFH"),
        "CC": among("CC"),
        "RC": among("RC"),
        "tumour": whole,
    }
    scored = tuple(region for region in ("WT", "TC", "ET") if regions[region])
    return LabelScheme(name, labels, {key: names for key, names in regions.items() if names}, scored, source)


SCHEMES: Mapping[str, LabelScheme] = MappingProxyType(
    {
        scheme.name: scheme
        for scheme in (
            glioma_scheme("brats2015", {"NCR": 1, "ED": 2, "NET": 3, "ET": 4}, "BraTS 2012-2015, Menze 2015"),
            glioma_scheme("brats2021", {"NCR": 1, "ED": 2, "ET": 4}, "BraTS 2017-2021, NCR includes NET; Baid 2021"),
            glioma_scheme("brats2023", {"NCR": 1, "ED": 2, "ET": 3}, "BraTS 2023 GLI"),
            glioma_scheme("brats2024", {"NETC": 1, "SNFH": 2, "ET": 3, "RC": 4}, "BraTS 2024 GLI post-treatment"),
            glioma_scheme("brats2024-ped", {"ET": 1, "NET": 2, "CC": 3, "ED": 4}, "BraTS-PEDs 2024 and 2025"),
            LabelScheme(
                "brats2024-men-rt",
                {"GTV": 1},
                {"GTV": ("GTV",), "tumour": ("GTV",)},
                ("GTV",),
                "BraTS 2024 and 2025 meningioma radiotherapy: the gross tumour volume",
            ),
            glioma_scheme("msd", {"ED": 1, "NET": 2, "ET": 3}, "Medical Segmentation Decathlon Task01, Antonelli 2022"),
            glioma_scheme("nnunet137", {"ED": 1, "NCR": 2, "ET": 3}, "nnU-Net Dataset137_BraTS2021, Isensee 2021"),
            LabelScheme("whole-tumour", {"WT": 1}, {"WT": ("WT",), "tumour": ("WT",)}, ("WT",), "a BraTS mask 0/1"),
            LabelScheme("lgg", {"tumour": 255}, {"tumour": ("tumour",)}, ("tumour",), "LGG kaggle_3m, Buda 2019"),
            LabelScheme(
                "brisc",
                {"glioma": 1, "meningioma": 2, "pituitary": 3},
                {
                    "tumour": ("glioma", "meningioma", "pituitary"),
                    "glioma": ("glioma",),
                    "meningioma": ("meningioma",),
                    "pituitary": ("pituitary",),
                },
                ("tumour", "glioma", "meningioma", "pituitary"),
                "BRISC 2025, a mask's label is its picture's class; Fateh 2025",
            ),
            LabelScheme("binary", {"tumour": 1}, {"tumour": ("tumour",)}, ("tumour",), "a picture's mask, thresholded"),
            LabelScheme(
                "ibsr",
                {"CSF": 1, "GM": 2, "WM": 3},
                {"csf": ("CSF",), "gm": ("GM",), "wm": ("WM",)},
                ("csf", "gm", "wm"),
                "IBSR18, MGH Center for Morphometric Analysis",
            ),
        )
    }
)
"""The closed table of schemes that readers and ``--scheme`` name."""


TASKS_OF_BRATS: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys((f"brats2023-{task}" for task in ("gli", "ssa", "men", "met", "ped")), "brats2023"),
        **dict.fromkeys(
            ("brats2024-ssa", "brats2024-men", "brats2024-met", "brats2025-ssa", "brats2025-men"), "brats2023"
        ),
        **dict.fromkeys(("brats2024-gli", "brats2025-gli", "brats2025-met"), "brats2024"),
        "brats2025-ped": "brats2024-ped",
        "brats2025-men-rt": "brats2024-men-rt",
    }
)
"""Tasks of the challenge -> the scheme of their labels. Those of 2025 are GLI before and after treatment and
metastases, both with the resection cavity as label 4."""


def scheme_named(name: str) -> LabelScheme:
    """The scheme of that name, or of that task of BraTS.

    Raises:
        LabelError: there is none; the nearest name, and all of them, are said.
    """
    scheme_name = TASKS_OF_BRATS.get(name.lower(), name.lower())
    if scheme_name in SCHEMES:
        return SCHEMES[scheme_name]
    raise LabelError(
        f"there is no label scheme {name}",
        expected=f"one of {', '.join(SCHEMES)}, or a task such as {', '.join(list(TASKS_OF_BRATS)[-3:])}",
        remedy=suggestion(name.lower(), (*SCHEMES, *TASKS_OF_BRATS)) or "Say what the integers mean with `--labels`",
    )


def own_scheme(
    labels: Mapping[str, int],
    regions: Mapping[str, Sequence[str | int]] | None = None,
    *,
    name: str = "own",
    source: str = "",
) -> LabelScheme:
    """A scheme of one's own.

    Without regions those of gliomas are made where every label is one of theirs under whatever name (``necrosis``,
    ``edema``, ``enhancing``), and else each label is a region. There always is a region ``tumour``, of WT where that is
    a region and else of all labels in regions but a resection cavity, unless the labels are tissues.

    Args:
        labels: name -> integer.
        regions: name -> the labels it is the union of, by name or integer.
        name: of the scheme.
        source: where it is defined.

    Raises:
        LabelError: integers that are given twice or below 1, or a region of labels that do not exist.
    """
    ours = {our_label_name(label): value for label, value in labels.items()}
    if regions is None and len(ours) == len(labels) and set(ours) <= GLIOMA_LABELS:
        return glioma_scheme(name, ours, source)
    if regions is None:
        regions = {label: (label,) for label in labels}
    members = {region: _members(region, parts, labels) for region, parts in regions.items()}
    made = LabelScheme(name, labels, members, tuple(members), source)
    if "tumour" in members or _TISSUES & {label.lower() for label in labels}:
        return made
    scored = {label for parts in members.values() for label in parts if our_label_name(label) != "RC"}
    tumour = members.get("WT", tuple(label for label in labels if label in scored))
    return LabelScheme(name, labels, {**members, "tumour": tumour}, made.default_regions, source) if tumour else made


def predicted_scheme(
    labels: Mapping[str, int], regions: Mapping[str, Sequence[str]], name: str = "predicted"
) -> LabelScheme:
    """What the JSON file of a predicted mask says that its integers mean: its labels and regions, and no others."""
    members = {region: tuple(parts) for region, parts in regions.items()}
    return LabelScheme(name, dict(labels), members, tuple(members))


def tumour_labels(scheme: LabelScheme) -> tuple[int, ...]:
    """The integers that are tumour: the region ``tumour`` or ``WT``; of a scheme of tissues none; else all labels."""
    for region in ("tumour", "WT"):
        if region in scheme.regions:
            return scheme.values_of(region)
    if _TISSUES & {name.lower() for name in scheme.labels}:
        return ()
    return tuple(scheme.labels.values())


def with_regions(scheme: LabelScheme, regions: Mapping[str, Sequence[str | int]]) -> LabelScheme:
    """A scheme with more regions, or others of the same names; these are the ones that are scored.

    Raises:
        LabelError: a region of labels that the scheme does not have.
    """
    members = {region: _members(region, parts, scheme.labels) for region, parts in regions.items()}
    name = f"{scheme.name} with {', '.join(members)}"
    return LabelScheme(name, scheme.labels, {**scheme.regions, **members}, tuple(members), scheme.source)


def _members(region: str, parts: Sequence[str | int], labels: Mapping[str, int]) -> tuple[str, ...]:
    """The labels of a region, in the scheme's order; parts are their names or integers."""
    by_value = {value: label for label, value in labels.items()}
    names = [by_value.get(part, str(part)) if isinstance(part, int) else _label_of(part, by_value) for part in parts]
    unknown = [label for label in names if label not in labels]
    if unknown or not names:
        raise LabelError(
            f"the region {region} is made of labels that do not exist",
            found=", ".join(unknown) or "none",
            expected="some of " + ", ".join(f"{value} {label}" for label, value in labels.items()),
        )
    return tuple(label for label in labels if label in names)


def _label_of(part: str, by_value: Mapping[int, str]) -> str:
    return next((label for value, label in by_value.items() if str(value) == part), part)
