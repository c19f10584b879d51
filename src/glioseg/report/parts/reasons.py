"""Why the Dice of a case is low, told from its row in the table of cases."""

from __future__ import annotations

from collections.abc import Sequence

from glioseg.errors import plural
from glioseg.evaluation.table import Row
from glioseg.report.parts.words import amount

_MUCH = 0.2
"""Share of a mask above which what is missed, or lies outside, is worth a word."""
_FAR_MM = 20.0
_SMALL_ML = 1.0
_MOST_REGIONS = 2


def reason_of(row: Row, regions: Sequence[str], unit: str) -> str:
    """What went wrong in the regions of a case with the lowest Dice, in words.

    Args:
        row: of the table of cases.
        regions: that may be spoken of, by name.
        unit: of its volumes, ``ml`` or ``voxels``.
    """
    scored = [(dice, region) for region in regions if (dice := _value(row, region, "dice")) is not None]
    scored.sort(key=lambda pair: pair[0])
    reasons = []
    for _, region in scored[:_MOST_REGIONS]:
        words = _of_region(row, region, unit)
        reasons.append(f"{region}: {words}" if len(regions) > 1 else words)
    return "; ".join(reasons) if reasons else "both masks are empty"


def _of_region(row: Row, region: str, unit: str) -> str:
    """Of one region."""
    hit, outside, missed = (_value(row, region, name) or 0.0 for name in ("tp", "fp", "fn"))
    reference = _value(row, region, f"volume_reference_{unit}") or 0.0
    prediction = _value(row, region, f"volume_prediction_{unit}") or 0.0
    if not hit + missed:
        return f"{amount(prediction, unit)} predicted where the reference has none"
    of = amount(reference, unit)
    if not hit + outside:
        return f"nothing predicted, of {of}"
    if not hit:
        return f"{amount(prediction, unit)} predicted, none of it where the reference is ({of})"
    words = [f"{missed / (hit + missed):.0%} of {of} missed"] if missed > _MUCH * (hit + missed) else []
    if outside > _MUCH * (hit + outside):
        words.append(f"{outside / (hit + outside):.0%} of the prediction lies outside")
    words += _of_lesions(row, region)
    distance = _value(row, region, "hd95")
    if distance is not None and distance > _FAR_MM:
        words.append(f"part of it far off (HD95 {distance:.0f} mm)")
    if unit == "ml" and reference < _SMALL_ML:
        words.append(f"a small one: {of}" if not missed > _MUCH * (hit + missed) else "a small one")
    return ", ".join(words) or f"borders alone, of {of}"


def _of_lesions(row: Row, region: str) -> list[str]:
    total, found, false = (_value(row, region, name) for name in ("n_lesions", "n_lesions_found", "n_lesions_false"))
    words = []
    if total is not None and found is not None and found < total and total > 1:
        words.append(f"{total - found:.0f} of {plural(int(total), 'lesion')} missed")
    if false:
        words.append(plural(int(false), "false lesion"))
    return words


def _value(row: Row, region: str, name: str) -> float | None:
    value = row.get(f"{region}.{name}")
    return float(value) if isinstance(value, int | float) else None
