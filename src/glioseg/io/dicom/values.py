"""Values of a DICOM data set, believed in nothing: what is absent, or not what its attribute should be, is None."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydicom import Dataset

_LONGEST_TEXT = 200


def value_of(data: Dataset, keyword: str) -> Any:  # noqa: ANN401 - whatever the attribute holds
    """The value of an attribute as pydicom reads it; None where it is absent, empty or unreadable."""
    try:
        value = data.get(keyword)
    except Exception:  # noqa: BLE001 - a value of another kind than its attribute has (a wrong VR) raises anything
        return None
    return None if value is None or (hasattr(value, "__len__") and len(value) == 0) else value


def text_of(data: Dataset, keyword: str) -> str:
    """A text, empty where there is none; several values are joined."""
    value = value_of(data, keyword)
    if value is None or isinstance(value, bytes):
        return ""
    values = [value] if isinstance(value, str) or not isinstance(value, Sequence) else value
    return " ".join(str(each) for each in values).strip()[:_LONGEST_TEXT]


def words_of(data: Dataset, keyword: str) -> tuple[str, ...]:
    """The values of a coded attribute (``ORIGINAL``, ``PRIMARY``, …) in upper case."""
    value = value_of(data, keyword)
    if value is None or isinstance(value, (bytes, int, float)):
        return ()
    values = value.split("\\") if isinstance(value, str) else value
    return tuple(str(each).strip().upper()[:_LONGEST_TEXT] for each in values)


def numbers_of(data: Dataset, keyword: str, n: int) -> tuple[float, ...] | None:
    """Exactly ``n`` finite numbers."""
    value = value_of(data, keyword)
    if value is None or isinstance(value, (str, bytes)):
        return None
    try:
        numbers = tuple(float(each) for each in (value if isinstance(value, Sequence) else [value]))
    except (TypeError, ValueError):
        return None
    return numbers if len(numbers) == n and all(map(math.isfinite, numbers)) else None


def number_of(data: Dataset, keyword: str) -> float | None:
    """A finite number; of several the first."""
    value = value_of(data, keyword)
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)) and value:
        value = value[0]
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def integer_of(data: Dataset, keyword: str) -> int | None:
    """A whole number."""
    number = number_of(data, keyword)
    return int(number) if number is not None and number == int(number) else None


def items_of(data: Dataset, keyword: str) -> Iterator[Dataset]:
    """The items of a sequence; none where the attribute is something else."""
    value = value_of(data, keyword)
    if value is None or isinstance(value, (str, bytes, int, float)):
        return
    for item in value:
        if hasattr(item, "get"):
            yield item


def item_of(data: Dataset, keyword: str) -> Dataset:
    """The first item of a sequence; an empty dictionary where there is none."""
    return next(items_of(data, keyword), {})
