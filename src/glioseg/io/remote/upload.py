"""Results that go elsewhere: worked on here, sent at each checkpoint and at the end, and marked until all are there.

What speaks for other files (checkpoints, records) is taken first and sent last, so that it is never newer than they
are: whoever goes on from what was sent, on whatever machine, finds a state that there was. A folder whose upload has
not ended holds ``.uploading.json``, and is refused to readers. Where the machine goes on that was cut off, what is here
and was not sent yet wins; else what is there does.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import socket
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from glioseg.console import QUIET, Reporter
from glioseg.errors import FileError, GliosegError, OptionError
from glioseg.io.files import LOCK, TEMPORARY
from glioseg.io.lock import locked
from glioseg.io.remote.address import name_of, shown, tag_of, url_of
from glioseg.io.remote.mirror import OF_THIS_MACHINE, UPLOADING, Mirrored, bring, mirrored

_LOG = logging.getLogger("glioseg")
_CHECKPOINT = "latest_checkpoint.pth"
_LOOK_S = 2.0
_EVERY_S = 60.0
_LINKED_BYTES = 1 << 20
"""Files from this size on are written in one piece, and are held by a link; smaller ones may grow, and are copied."""


@contextmanager
def uploaded(out: Path, reporter: Reporter = QUIET) -> Iterator[Path]:
    """A folder for results that may be a URL -> the folder to work in; what is elsewhere already is there, too.

    Raises:
        OptionError: a URL to which nothing can be written.
        FileError: what is elsewhere cannot be brought, or what is here cannot be sent, which is kept then.
    """
    url = url_of(out)
    if url is None:
        yield out
        return
    place = _writable(url)
    with locked(place.home):
        sending = _Sending(place, _begun(place, reporter))
        reporter.say(f"Working in {place.path}, sent to {shown(url)}")
        try:
            with sending.at_each_checkpoint():
                yield place.path
        finally:
            sending.end()


@contextmanager
def uploaded_file(out: Path, reporter: Reporter = QUIET) -> Iterator[Path]:
    """A file for results that may be a URL -> the file to write; it, and what is written beside it, is sent at the end.

    Raises:
        OptionError, FileError: as of ``uploaded``.
    """
    url = url_of(out)
    if url is None:
        yield out
        return
    place = _writable(url)
    folder, there = place.home / "sent", place.remote.path.rsplit("/", 1)[0]
    with locked(place.home):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        yield folder / name_of(url)
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            below = path.relative_to(folder).as_posix()
            place.remote.said(partial(place.remote.system.put_file, str(path), f"{there}/{below}"))
            reporter.say(f"Sent {shown(url).rsplit('/', 1)[0]}/{below}")
        place.write(place.index().model_copy(update={"used": time.time()}))


def _writable(url: str) -> Mirrored:
    """The place at a URL, unless nothing can be written there."""
    if url.startswith("http"):
        raise OptionError(
            "an address of the web is for reading",
            found=shown(url),
            expected="`--out` with a folder, s3://BUCKET/… or gs://BUCKET/…",
        )
    return mirrored(url)


def _begun(place: Mirrored, reporter: Reporter) -> str:
    """The name of this upload, once what is elsewhere is here, and is marked as being written."""
    files = place.remote.files() if place.remote.exists else {}
    index, mark = place.index(), place.remote.said(lambda: _mark(place)) if UPLOADING in files else None
    if mark is None or index.upload is None or mark.get("upload") != index.upload:  # else what is here is ahead
        bring(place, {name: file for name, file in files.items() if name != UPLOADING}, reporter)
    place.path.mkdir(parents=True, exist_ok=True)
    name = uuid.uuid4().hex
    facts = {"upload": name, "machine": socket.gethostname(), "process": os.getpid(), "since": time.time()}
    place.remote.said(lambda: place.remote.system.pipe_file(_at(place, UPLOADING), json.dumps(facts).encode()))
    place.write(place.index().model_copy(update={"upload": name, "used": time.time()}))
    return name


def _mark(place: Mirrored) -> dict[str, object]:
    facts = json.loads(place.remote.system.cat_file(_at(place, UPLOADING)))
    return facts if isinstance(facts, dict) else {}


def _at(place: Mirrored, name: str) -> str:
    return f"{place.remote.path.rstrip('/')}/{name}"


class _Sending:
    """What has been sent of a folder, and what is still to be."""

    def __init__(self, place: Mirrored, name: str) -> None:
        self._place = place
        self._name = name
        self._lock = threading.Lock()
        self._sent_at = time.monotonic()
        self._checkpoints = self._checkpoint_times()

    @contextmanager
    def at_each_checkpoint(self) -> Iterator[None]:
        """Send what has changed after each checkpoint, and every minute; what fails then is tried again at the end."""
        over = threading.Event()

        def watch() -> None:
            while not over.wait(_LOOK_S):
                times = self._checkpoint_times()
                if times != self._checkpoints or time.monotonic() - self._sent_at > _EVERY_S:
                    self._checkpoints = times
                    try:
                        self.send()
                    except GliosegError as error:
                        _LOG.warning("Not sent yet, and tried again: %s", " ".join(str(error).split()))

        thread = threading.Thread(target=watch, name="glioseg-upload", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def end(self) -> None:
        """Send what is left, and then take away the mark."""
        try:
            self.send()
            place = self._place
            place.remote.said(lambda: place.remote.system.rm_file(_at(place, UPLOADING)))
            place.write(place.index().model_copy(update={"upload": None, "used": time.time()}))
        except FileError as error:
            raise FileError(
                "the results could not be sent, and are kept here",
                path=self._place.path,
                found=error.text,
                remedy="Give the same command again: it sends what is missing",
            ) from error

    def send(self) -> None:
        """Send what has changed since the last time, and delete elsewhere what was sent once and is no longer here."""
        with self._lock, tempfile.TemporaryDirectory(dir=self._place.home, prefix=TEMPORARY) as folder:
            self._sent_at = time.monotonic()
            place, index = self._place, self._place.index()
            sent = dict(index.files)
            states = self._states()
            changed = [name for name, state in states.items() if name not in sent or sent[name][2] != state]
            held = {
                name: Path(folder) / str(number)
                for number, name in enumerate(sorted(changed, key=_speaks, reverse=True))
            }
            for name, copy in held.items():
                _hold(place.path / name, copy)
            for name in sorted(held, key=_speaks):
                if held[name].exists():
                    sent[name] = self._sent(name, held[name], states[name])
            for name in [name for name in sent if name not in states]:
                place.remote.said(partial(place.remote.system.rm_file, _at(place, name)))
                del sent[name]
            if sent != index.files:
                place.write(index.model_copy(update={"files": sent}))

    def _sent(self, name: str, copy: Path, state: int) -> tuple[int | None, str | None, int]:
        place, at = self._place, _at(self._place, name)

        def put() -> tuple[int | None, str | None, int]:
            place.remote.system.put_file(str(copy), at)
            place.remote.system.invalidate_cache()
            facts = place.remote.system.info(at)
            return facts.get("size"), tag_of(facts), state

        sent = place.remote.said(put)
        if sent[0] is not None and sent[0] != copy.stat().st_size:
            raise FileError("the file broke off", path=shown(f"{place.remote.url}/{name}"), found=f"{sent[0]} bytes")
        return sent

    def _states(self) -> dict[str, int]:
        """Path below the folder -> time of change, of what is to be sent."""
        states = {}
        for path in sorted(self._place.path.rglob("*")):
            below = path.relative_to(self._place.path)
            stays_here = path.name == LOCK or path.name.startswith(TEMPORARY) or below.parts[0] in OF_THIS_MACHINE
            try:
                if not stays_here and path.is_file():
                    states[below.as_posix()] = path.stat().st_mtime_ns
            except FileNotFoundError:
                continue  # it was replaced meanwhile
        return states

    def _checkpoint_times(self) -> dict[str, int]:
        times = {}
        for path in self._place.path.rglob(_CHECKPOINT):
            try:
                times[str(path)] = path.stat().st_mtime_ns
            except FileNotFoundError:
                continue
        return times


def _speaks(name: str) -> bool:
    """Whether a file speaks for others, and must not be newer than they are."""
    return name.endswith((".pth", ".json"))


def _hold(path: Path, copy: Path) -> None:
    """Have a file as it is now, whatever takes its place; nothing where it has gone."""
    try:
        if path.stat().st_size < _LINKED_BYTES:
            shutil.copyfile(path, copy)
        else:
            os.link(path, copy)
    except FileNotFoundError:
        return
