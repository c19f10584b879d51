"""Whose the files of a case are: its JSON file, written first and last, says that they are ours.

What no command of ours has written is never written over; what one has written of a case is all there, or gone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from glioseg.core import Case
from glioseg.errors import FileError, GliosegError, OptionError
from glioseg.io.files import cannot_write, unforeseen_in
from glioseg.io.text import read_json

_T = TypeVar("_T")
PREDICTED = ("model_id", "case")
"""What the JSON file of a predicted case says from the first moment,"""
MADE_READY = ("case", "files")
"""and that of one that was made ready."""
_OF_SCANS = frozenset({"inputs", "case", "patient"})
"""Entries of such a file that name no result."""


def ignores_case(folder: Path) -> bool:
    """Whether names that differ in the case of letters alone are one file there, as on Windows and macOS."""
    for place in (folder.absolute(), *folder.absolute().parents):
        swapped = place.parent / place.name.swapcase()
        if swapped.name != place.name and place.exists():
            return swapped.exists() and swapped.samefile(place)
    return False


def with_own_files(
    cases: Sequence[Case], claims: Sequence[Collection[str]], out: Path, require: Callable[[Case], None]
) -> tuple[list[Case], dict[str, GliosegError]]:
    """The cases whose files are theirs alone, and what is wrong with the others, by id.

    Args:
        cases: whose files are to be written.
        claims: of each case the names that it wants for itself.
        out: the folder, in which names that differ in the case of letters may be one.
        require: whatever else a case must fulfil; raises a GliosegError.
    """
    alike = ignores_case(out)
    wanted = [frozenset(name.casefold() if alike else name for name in each) for each in claims]
    counts = Counter(name for each in wanted for name in each)
    able: list[Case] = []
    failed: dict[str, GliosegError] = {}
    for case, wanted_names in zip(cases, wanted, strict=True):
        try:
            _require_own_name(case, wanted_names, counts)
            require(case)
        except GliosegError as error:
            failed[case.id] = error
        else:
            able.append(case)
    return able, failed


def _require_own_name(case: Case, claims: Collection[str], counts: Mapping[str, int]) -> None:
    if any(counts[name] > 1 for name in claims):
        remedy = "Predict them into different folders"
        raise OptionError("two inputs would be written to the same files", found=case.id, remedy=remedy)


def require_own_files(files: Sequence[Path], record: Path, says: Collection[str], what: str) -> None:
    """Refuse to write over files that are not ours.

    Args:
        files: that will be written.
        record: the JSON file of the case, one of them,
        says: and what it holds where it is ours.
        what: wrote it then, as in ``prediction``.

    Raises:
        OptionError: there are files, and no such record.
    """
    there = [path for path in files if path.is_file()]
    if there and not is_ours(record, says):
        raise not_ours(there[0], what)


def is_ours(record: Path, says: Collection[str]) -> bool:
    """Whether a JSON file is that of a case of ours, finished or not."""
    return set(says) <= set(_facts_in(record))


def written_before(out: Path) -> frozenset[Path]:
    """The files at and below a folder that records of ours in it name as results, and these records."""
    names: set[str] = set()
    folders: set[str] = set()  # the masks of a stack of pictures
    for record in out.glob("*.json"):
        facts = _facts_in(record)
        if set(PREDICTED) <= set(facts) or set(MADE_READY) <= set(facts):
            names |= {record.name, *_texts({key: value for key, value in facts.items() if key not in _OF_SCANS})}
            folders.add(str(facts.get("mask")))
    below = [(path, path.relative_to(out)) for path in (out.rglob("*") if names else ())]
    return frozenset(
        path for path, name in below if name.as_posix() in names or any(str(above) in folders for above in name.parents)
    )


def _facts_in(record: Path) -> Mapping[str, object]:
    try:
        facts = read_json(record)
    except (FileError, OSError):
        return {}
    return facts if isinstance(facts, dict) else {}


def _texts(value: object) -> Iterator[str]:
    """All texts in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _texts(part)


def not_ours(path: Path, what: str) -> OptionError:
    """The refusal to write over a file."""
    return OptionError(
        f"a result would be written over a file that no {what} has written",
        path=path,
        remedy="Name another folder with `--out`, or move the file away",
    )


def written_or_why(case: Case, write: Callable[[], _T], files: Sequence[Path], out: Path) -> _T | GliosegError:
    """All files of a case, or none and why.

    Args:
        case: whose they are.
        write: writes them.
        files: that it may write.
        out: the folder that they lie below.

    Raises:
        FileError: the folder cannot be written to, which is no fault of the case.
    """
    try:
        return write()
    except Exception as error:
        clear(files, out)
        if isinstance(error, FileError) and error.path is not None and Path(error.path).is_relative_to(out):
            raise
        return error if isinstance(error, GliosegError) else unforeseen_in(case, "the case could not be written", error)
    except BaseException:
        clear(files, out)
        raise


def clear(files: Sequence[Path], out: Path) -> None:
    """Remove what there is of the files of a case, so that nothing stale stands beside new ones.

    Its JSON file, which says whose the others are, goes last; folders that are empty then go too.

    Raises:
        FileError: one cannot be removed.
    """
    for path in sorted(files, key=lambda path: path.suffix == ".json"):
        try:
            path.unlink(missing_ok=True)
            for folder in path.parents[: len(path.parents) - len(out.parents) - 1]:
                if folder.is_dir() and not any(folder.iterdir()):
                    folder.rmdir()
        except OSError as error:
            raise cannot_write(path, error) from error
