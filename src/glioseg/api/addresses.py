"""Addresses wherever functions of the face take paths: what is read is brought here first, what is written is sent."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from os import PathLike
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from glioseg.api.common import StrPath, reporter_of
from glioseg.console import Reporter
from glioseg.errors import OptionError
from glioseg.io.remote.address import require_known, shown, url_of
from glioseg.io.remote.mirror import fetched
from glioseg.io.remote.upload import uploaded, uploaded_file

P = ParamSpec("P")
R = TypeVar("R")

_WRITTEN = ("out", "cache")
_DATA = ("data", "inputs")


def takes_addresses(function: Callable[P, R]) -> Callable[P, R]:
    """Have a function take URLs (``s3://``, ``gs://``; ``https://`` for reading) for paths.

    ``out`` and ``cache`` are folders that are worked on here and sent at each checkpoint and at the end, and so is
    ``run`` where it is what results are written into; all others are brought here before the function is called.
    """
    return _taking(function, uploaded)


def takes_addresses_and_writes_a_file(function: Callable[P, R]) -> Callable[P, R]:
    """The same of a function whose ``out`` is a file."""
    return _taking(function, uploaded_file)


def _taking(
    function: Callable[P, R], written: Callable[[Path, Reporter], AbstractContextManager[Path]]
) -> Callable[P, R]:
    signature = inspect.signature(function)

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        bound = signature.bind(*args, **kwargs)
        urls = _all_urls(bound.arguments)
        if not urls:
            return function(*args, **kwargs)
        reporter = reporter_of(bound.arguments.get("progress"))
        _require_shared(bound.arguments, urls)
        into_run = "out" in signature.parameters and bound.arguments.get("out") is None
        with ExitStack() as stack:
            for name, value in bound.arguments.items():
                if name == "out" and _urls(value):
                    bound.arguments[name] = stack.enter_context(written(Path(value), reporter))
                elif (name in _WRITTEN or (name == "run" and into_run)) and _urls(value):
                    bound.arguments[name] = stack.enter_context(uploaded(Path(value), reporter))
                else:
                    bound.arguments[name] = _brought(value, name in _DATA, reporter)
            return function(*bound.args, **bound.kwargs)

    return call


def _require_shared(arguments: Mapping[str, Any], urls: Sequence[str]) -> None:
    """Workers of a cluster share a folder, and none of them can share what another has brought from elsewhere."""
    if arguments.get("on") is not None:
        raise OptionError(
            "the workers of a cluster need files that all of them see",
            found=f"`--on` with {shown(urls[0])}",
            remedy="Copy it into a folder that they share, or leave `--on` out",
        )


def require_here(*paths: StrPath | None) -> None:
    """Refuse addresses where nothing is sent: as paths they would be folders here.

    Raises:
        OptionError: one of them is one.
    """
    urls = _urls(paths)
    if urls:
        raise OptionError(
            "this takes a folder of this machine",
            found=shown(urls[0]),
            remedy="Name one, and copy what is in it afterwards",
        )


def _all_urls(arguments: Mapping[str, Any]) -> list[str]:
    """Of a call; where work is done (``on``) has an address of another kind.

    Raises:
        OptionError: an address of a kind that is not opened.
    """
    return [url for name, value in arguments.items() if name != "on" for url in _urls(value)]


def _urls(value: object) -> list[str]:
    """The URLs in an argument: itself, of its data, or among several; errors as of ``_all_urls``."""
    from glioseg.runs.read import Data

    if isinstance(value, str | PathLike):
        require_known(str(value))
        url = url_of(str(value))
        return [] if url is None else [url]
    if isinstance(value, Data):
        return _urls(value.path)
    if isinstance(value, Mapping):
        return [url for each in value.values() for url in _urls(each)]
    if isinstance(value, list | tuple):
        return [url for each in value for url in _urls(each)]
    return []


def _brought(value: Any, is_data: bool, reporter: Reporter) -> Any:  # noqa: ANN401 - whatever a function takes
    """The same with what its URLs name on this machine; data remembers where it is from."""
    from glioseg.runs.read import Data, here

    if not _urls(value):
        return value
    if isinstance(value, Data):
        return here(value, reporter)
    if isinstance(value, Mapping):
        return {name: _brought(each, is_data, reporter) for name, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return type(value)(_brought(each, is_data, reporter) for each in value)  # type: ignore[call-arg]
    return here(Data(Path(value)), reporter) if is_data else fetched(Path(value), reporter)
