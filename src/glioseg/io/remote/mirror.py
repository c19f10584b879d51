"""What is elsewhere, here: each place in a folder of its own, bounded in all; what was not used for longest goes first.

    FOLDER/<hash>/index.json       what is here of a place: size, tag and time of each file, when it was last used
    FOLDER/<hash>/<name>/…         its files, under their own names

A file is here whole or not at all; one whose size or tag elsewhere has changed, or that was changed here, is brought
anew.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import RawIOBase
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from glioseg.console import QUIET, Reporter
from glioseg.errors import FileError
from glioseg.frozen import Frozen
from glioseg.io.files import CANNOT_BE_WRITTEN, cannot_write, replacing, write_text
from glioseg.io.lock import locked
from glioseg.io.remote.address import NOT_PERMITTED, Remote, RemoteFile, name_of, remote, shown, url_of
from glioseg.io.text import read_json, read_toml

_LOG = logging.getLogger("glioseg")
INDEX = "index.json"
UPLOADING = ".uploading.json"
"""Stands beside the files of a folder elsewhere as long as it is being written there."""
OF_THIS_MACHINE = ("cache",)
"""Folders that are neither sent nor brought: prepared data, which is made again from the scans."""
_CHUNK = 1 << 20
_THREADS = 4
_TRIES = 3
_DAY_S = 86_400.0


class MirrorOptions(Frozen):
    """Where files from elsewhere are kept, as ``~/.config/glioseg/mirror.toml`` says it.

    Attributes:
        folder: of them; None for ``~/.cache/glioseg``.
        limit_gb: 10^9 bytes in all; what was not used for longest goes first, though nothing of the last day.
    """

    folder: Path | None = None
    limit_gb: float = Field(100.0, gt=0)

    @property
    def place(self) -> Path:
        """The folder."""
        return (self.folder or Path.home() / ".cache" / "glioseg").expanduser()


class MirrorIndex(Frozen):
    """What is here of a place.

    Attributes:
        url: of it, without secrets.
        used: when, in s.
        files: path below it -> size and tag elsewhere, and the time of change here in ns.
        upload: of whoever writes there from here: what it has called its upload; None where nobody does.
    """

    url: str
    used: float
    files: dict[str, tuple[int | None, str | None, int]] = Field(default_factory=dict)
    upload: str | None = None


def options_file() -> Path:
    """Where ``MirrorOptions`` are kept."""
    return Path.home() / ".config" / "glioseg" / "mirror.toml"


def mirror_options() -> MirrorOptions:
    """As the user has set them.

    Raises:
        FileError: the file is not TOML, or says something else.
    """
    path = options_file()
    if not path.exists():
        return MirrorOptions()
    try:
        return MirrorOptions.model_validate(read_toml(path))
    except ValidationError as error:
        fault = error.errors()[0]
        found = f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}"
        raise FileError(
            "not the settings of the mirror", path=path, found=found, expected="folder, limit_gb"
        ) from error


@dataclass(frozen=True)
class Mirrored:
    """A place elsewhere, and its folder here.

    Args:
        remote: the place.
        home: the folder that is its own, in which its index lies.
    """

    remote: Remote
    home: Path

    @property
    def path(self) -> Path:
        """Where its file, or its files, are here."""
        return self.home / name_of(self.remote.url)

    def index(self) -> MirrorIndex:
        """What is here; nothing where the index is missing or another's."""
        try:
            return MirrorIndex.model_validate(read_json(self.home / INDEX))
        except (FileError, ValidationError):
            return MirrorIndex(url=shown(self.remote.url), used=0)

    def write(self, index: MirrorIndex) -> None:
        """Keep what is here."""
        write_text(self.home / INDEX, index.model_dump_json(indent=1) + "\n")


def mirrored(url: str) -> Mirrored:
    """The place at a URL; nothing is brought yet."""
    key = hashlib.sha256(url.rstrip("/").encode(errors="surrogateescape")).hexdigest()[:16]
    return Mirrored(remote(url), mirror_options().place / key)


def fetched(path: Path, reporter: Reporter = QUIET) -> Path:
    """A path that may be a URL -> the same, or where the files are here, whole.

    Raises:
        FileError: nothing is there, it may not be read or cannot be reached; a file that broke off, or was changed
            meanwhile; a folder whose upload has not ended; more than the limit, or than the disk takes.
        OptionError: a library is missing.
    """
    url = url_of(path)
    if url is None:
        return path
    place = mirrored(url)
    with locked(place.home, waiting=_say_waiting):
        files = place.remote.files()
        if UPLOADING in files:
            raise FileError(
                "the folder is not whole: its upload has not ended",
                path=shown(url),
                remedy="Wait for it; where it was cut off, give the command again that wrote it",
            )
        bring(place, files, reporter)
    return place.path


def bring(place: Mirrored, files: Mapping[str, RemoteFile], reporter: Reporter) -> None:
    """Have exactly these files here, in a home that is this process's own; errors as of ``fetched``."""
    index = place.index()
    is_file = list(files) == [name_of(place.remote.url)] and not place.path.is_dir()
    root = place.home if is_file else place.path
    old = {
        name: facts
        for name, facts in index.files.items()
        if name in files and _is_here(root / name, files[name], facts)
    }
    for path in () if is_file else (path for path in root.rglob("*") if path.is_file()):
        if path.relative_to(root).as_posix() not in old:
            path.unlink()
    missing = {name: file for name, file in files.items() if name not in old}
    _make_room(place, sum(file.size or 0 for file in files.values()))
    place.write(index.model_copy(update={"files": old, "used": time.time()}))
    if missing:
        new = _brought(place, root, missing, reporter)
        place.write(index.model_copy(update={"files": old | new, "used": time.time()}))


def _is_here(path: Path, file: RemoteFile, facts: tuple[int | None, str | None, int]) -> bool:
    """Whether a file is what is elsewhere, and what was brought; without size and tag nobody can say."""
    try:
        state = path.stat()
    except OSError:
        return False
    is_checkable = file.size is not None and file.tag is not None
    return is_checkable and (file.size, file.tag, state.st_mtime_ns) == tuple(facts) and state.st_size == file.size


def _brought(
    place: Mirrored, root: Path, files: Mapping[str, RemoteFile], reporter: Reporter
) -> dict[str, tuple[int | None, str | None, int]]:
    """Bring files, a few at a time; the first that cannot be brought ends it."""
    new: dict[str, tuple[int | None, str | None, int]] = {}
    with reporter.progress(f"Fetching {shown(place.remote.url)}") as step, ThreadPoolExecutor(_THREADS) as pool:
        waiting = {name: pool.submit(_bring_one, place.remote, file, root / name) for name, file in files.items()}
        try:
            for number, (name, future) in enumerate(waiting.items(), start=1):
                future.result()
                new[name] = (files[name].size, files[name].tag, (root / name).stat().st_mtime_ns)
                step(number, len(files))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return new


def _bring_one(place: Remote, file: RemoteFile, path: Path) -> None:
    for number in range(1, _TRIES + 1):
        try:
            _copy(place, file, path)
        except FileError as error:
            if number == _TRIES or error.what in (NOT_PERMITTED, CANNOT_BE_WRITTEN):
                raise
            time.sleep(0.2 * number)
        else:
            return


def _copy(place: Remote, file: RemoteFile, path: Path) -> None:
    """A file as a stream, whole or not at all."""
    with replacing(path) as temporary:
        n_bytes = place.said(lambda: _streamed(place.system, file.url, temporary, path))
        if file.size is not None and n_bytes != file.size:
            raise FileError(
                "the file broke off",
                path=shown(file.url),
                found=f"{n_bytes} bytes",
                expected=f"{file.size} bytes",
                remedy="Try again: what is here by now is kept",
            )


def _streamed(system: Any, url: str, temporary: Path, path: Path) -> int:  # noqa: ANN401 - fsspec's
    n_bytes = 0
    with system.open(url, "rb") as source, temporary.open("wb", buffering=0) as target:
        while chunk := source.read(_CHUNK):
            _put(target, chunk, path)
            n_bytes += len(chunk)
    return n_bytes


def _put(target: RawIOBase, chunk: bytes, path: Path) -> None:
    """Write all of it; what this machine cannot write is no fault of the address."""
    left = memoryview(chunk)
    try:
        while left:
            left = left[target.write(left) :]
    except OSError as error:
        raise cannot_write(path, error) from error


def _make_room(place: Mirrored, n_bytes: int) -> None:
    """Delete what was not used for longest until all fits into the limit.

    Raises:
        FileError: it does not, with what was used within a day.
    """
    limit = int(mirror_options().limit_gb * 1e9)
    others = [home for home in place.home.parent.iterdir() if home.is_dir() and home != place.home]
    sizes = {home: _size(home) for home in others}
    used = {home: Mirrored(place.remote, home).index().used for home in others}
    total = n_bytes + sum(sizes.values())
    for home in sorted(others, key=lambda home: used[home]):
        if total > limit and time.time() - used[home] > _DAY_S:
            shutil.rmtree(home, ignore_errors=True)
            total -= sizes[home]
    if total > limit:
        raise FileError(
            "there is no room for it beside what was fetched within a day",
            path=shown(place.remote.url),
            found=f"{n_bytes / 1e9:.3g} GB, and {(total - n_bytes) / 1e9:.3g} GB of others",
            expected=f"{limit / 1e9:.3g} GB in all",
            remedy=f"Raise limit_gb in {options_file()}, or delete folders in {place.home.parent}",
        )


def _size(folder: Path) -> int:
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(root) / name).stat().st_size
            except OSError as error:
                if not isinstance(error, FileNotFoundError):
                    raise cannot_write(folder, error) from error
    return total


def _say_waiting(holder: str) -> None:
    _LOG.warning("The same is being fetched by %s; waiting for it", holder)
