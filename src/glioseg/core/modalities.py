"""The names of modalities, ours, the older ones and those of scanners; the one table of them.

A name is understood word by word: a sequence (T1, MPRAGE, T2, FLAIR, …), a contrast agent (Gd, post, +C, …) or its
absence, and words that change neither (the plane, the kind of echo, what was done to the scan since). A text with any
other word in it is no modality.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache

MODALITY_ORDER = ("t1n", "t1c", "t2w", "t2f")

_OF_LGG = {"pre": "t1n", "post": "t1c"}
"""Names of LGG's other channels, beside which its FLAIR is called flair, and what they show."""

_T1 = re.compile(r"t1|t1[wn]|t1mri|t1w?i|t1weighted|mp2?rage|mpr|spgr|bravo|tfl")
_T1_CONTRAST = re.compile(r"t1w?(?:c|ce|gd|gad|gado|km|post\w*|contrast\w*|enh\w*)|(?:ce?|gd)t1w?")
_T1_NATIVE = re.compile(r"t1w?(?:pre\w*|nat\w*)")
_T2 = re.compile(r"t2|t2w|t2w?i|t2weighted|t2t?[fs]e")
_FLAIR = re.compile(r"t2w?flair|flair(?:t2)?|fla|t2f|darkfluid|fluid")
_OTHERS = re.compile(r"swi|dwi|dti|adc|asl|pdw?|pwi|dsc|dce|perf\w*|r?cb[fv]|mtt|tof|mra|bold|t2star|t2s|b0+|b1000")
_DTI_MAPS = re.compile(r"fa|md|ad|rd|l[123]")
"""Sequences and maps that none of our four modalities is; they keep their names."""
_AGENT = re.compile(r"w?ce|c|gd|gad|gado\w*|km|post\w*|contrast\w*|enhanced|enh|cm|kontrast\w*|with")
_NO_AGENT = re.compile(
    r"pre|precontrast|pregd|nat|nativ|native|no|non|wo|without|unenhanced|plain|noncontrast|nocontrast"
)
_QUALIFIERS = re.compile(
    r"ax|axial|tra|trans\w*|cor|coronal|sag|sagittal|2d|3d|[st]?se|fse|tse|gre|fspgr|space|vibe|cube|tfe|ffe|ir|tir|blade"
    r"|propeller|dark|tirm|fs|fatsat|weighted|w|mri?|img|seq|orig|original|raw|std|nifti|nii"
    r"|brain|stripped|skullstripped|unstripped|ss|bet|bias|biascorr\w*|n4|n4itk|corrected|reg|registered|coreg\w*|resampled|rsl|norm"
    r"|normali[sz]ed|zscore|mni|mni152|sri|sri24|atlas|iso|1mm|defaced|preproc\w*|preprocessed|aligned|warped|eddy|noreg"
)
_WORD = re.compile(r"[a-z0-9]+", re.IGNORECASE)
_PLUS = re.compile(r"\+\s*")


def modality_of(text: str) -> str | None:
    """Our name of a modality, whatever case and name is used (T1Gd, T1+C, Ax T2 FLAIR); None where it is none."""
    name = sequence_of(text)
    return name if name in MODALITY_ORDER else None


@lru_cache(maxsize=4096)
def sequence_of(text: str) -> str | None:
    """``modality_of``, or the own name (lower case) of another sequence or map (adc, swi); None where it is none."""
    words = [word.lower() for word in _WORD.findall(_PLUS.sub(" post ", text))]
    kinds = [kind_of_word(word) for word in words]
    if not words or None in kinds or ("map" in kinds and "dti" not in words):
        return None
    if "flair" in kinds and "t1" not in kinds:
        return "t2f"
    if "t1c" in kinds:
        return "t1c"
    if "t1" in kinds and "t2" not in kinds:
        return "t1c" if "agent" in kinds and "no agent" not in kinds else "t1n"
    if "t1n" in kinds:
        return "t1n"
    if "other" in kinds:
        return "_".join(word for word, kind in zip(words, kinds, strict=True) if kind in ("other", "map"))
    return "t2w" if kinds.count("t2") and "t1" not in kinds else None


def n_words(text: str) -> int:
    """How many words a name has: of two files of one modality the one with fewer had less done to it."""
    return len(_WORD.findall(text))


def split_sequence(name: str) -> tuple[str, str]:
    """``p1_T1_post`` -> (``p1``, ``T1_post``): what stands before the longest end that is a sequence, and that end.

    A name without such an end comes back whole, with an empty end.
    """
    for start in _starts(name):
        if sequence_of(name[start:]) is not None:
            return name[:start].rstrip("_-. +"), name[start:]
    return name, ""


def our_names(names: Sequence[str]) -> tuple[str, ...]:
    """Names as somebody says them, with ours for those that are aliases; those of LGG (pre, flair, post) stay."""
    if _OF_LGG.keys() & set(names):
        return tuple(names)
    return tuple(modality_of(name) or name for name in names)


def shown_by(name: str) -> str:
    """What a modality of a cohort shows: our name of it, LGG's channels among them; else the name itself."""
    return _OF_LGG.get(name) or modality_of(name) or name


def named_among(name: str, known: Collection[str]) -> str:
    """Which of the ``known`` modalities a name means: itself, or the one that it is an alias of; else itself."""
    ours = modality_of(name)
    return ours if name not in known and ours is not None and ours in known else name


def _starts(name: str) -> Iterator[int]:
    """Where words of two letters or more begin, from the left: a single one is rather part of a name."""
    yield from (match.start() for match in re.finditer(r"(?:^|(?<=[_\-. +]))[^_\-. +]{2}", name))


@lru_cache(maxsize=4096)
def kind_of_word(word: str) -> str | None:
    """What a word (lower case) is in a name: ``t1``, ``t1c``, ``t2``, ``flair``, ``agent``, …; None of another."""
    kinds = (
        ("t1c", _T1_CONTRAST),
        ("t1n", _T1_NATIVE),
        ("t1", _T1),
        ("flair", _FLAIR),
        ("t2", _T2),
        ("other", _OTHERS),
        ("map", _DTI_MAPS),
        ("no agent", _NO_AGENT),
        ("agent", _AGENT),
        ("words", _QUALIFIERS),
    )
    return next((kind for kind, pattern in kinds if pattern.fullmatch(word)), None)
