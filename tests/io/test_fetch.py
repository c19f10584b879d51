"""Files over a network that breaks, lies and leads elsewhere: all of them or none, and never the wrong ones."""

from __future__ import annotations

import hashlib
import socket
from pathlib import Path

import pytest

from glioseg.errors import FileError
from glioseg.io.fetch import Digest, WebFile, answer, fetch, n_bytes_there
from tests.fakes.server import Served, serving

_DATA = bytes(range(256)) * 4000  # 1,024,000 bytes
_MD5 = hashlib.md5(_DATA).hexdigest()
_PAGE = "https://example.org/set"


def _fetch(served: Served, folder: Path, *, digest: str | None = _MD5, n_bytes: int | None = len(_DATA)) -> Path:
    path = folder / "set.zip"
    remote_digest = None if digest is None else Digest("md5", digest)
    with serving({"/set.zip": served}) as address:
        _waited.clear()
        fetch(WebFile(f"{address}/set.zip", n_bytes, remote_digest, _PAGE), path, wait=_waited.append)
    return path


_waited: list[float] = []


def _left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_comes_whole_and_leaves_nothing_else(tmp_path: Path) -> None:
    assert _fetch(Served(_DATA), tmp_path).read_bytes() == _DATA
    assert _left(tmp_path) == ["set.zip"]
    assert _waited == []


def test_sha256_is_known_too(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with serving({"/a": Served(b"abc")}) as address:
        digest = Digest("sha256", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")  # of FIPS 180-2
        fetch(WebFile(f"{address}/a", 3, digest, _PAGE), path)
    assert path.read_bytes() == b"abc"


def test_a_broken_connection_is_taken_up_where_it_broke(tmp_path: Path) -> None:
    served = Served(_DATA, breaks=[400_000, 300_000])
    assert _fetch(served, tmp_path).read_bytes() == _DATA
    assert served.asked[0] is None
    assert all(asked is not None and int(asked[6:-1]) > 0 for asked in served.asked[1:])
    assert _waited == [1.0, 1.0]  # each try brought something: the waiting begins anew


@pytest.mark.parametrize("digest", [_MD5, None])
def test_without_ranges_it_begins_anew(tmp_path: Path, digest: str | None) -> None:
    served = Served(_DATA, ranges=False, breaks=[400_000])
    assert _fetch(served, tmp_path, digest=digest).read_bytes() == _DATA


def test_a_later_call_goes_on(tmp_path: Path) -> None:
    broken = Served(_DATA, breaks=[500_000, 0, 0, 0, 0])
    with pytest.raises(FileError, match="The same command goes on from where it stopped"):
        _fetch(broken, tmp_path)
    there = n_bytes_there(tmp_path / "set.zip")
    assert 0 < there <= 500_000
    assert _waited == [1.0, 4.0, 15.0, 60.0]
    served = Served(_DATA)
    assert _fetch(served, tmp_path).read_bytes() == _DATA
    assert served.asked == [f"bytes={there}-"]


def test_a_part_of_another_version_is_not_gone_on_with(tmp_path: Path) -> None:
    """The part was of version one; the server, which has version two, gives all of it anew (RFC 9110, 13.1.5)."""
    path = tmp_path / "set.zip"
    files = {"/set.zip": Served(b"1" * 1000, breaks=[400, 0, 0, 0, 0])}
    with serving(files) as address:
        with pytest.raises(FileError):
            fetch(WebFile(f"{address}/set.zip", 1000, None, _PAGE), path, wait=_waited.append)
        assert n_bytes_there(path) == 400
        files["/set.zip"].content, files["/set.zip"].etag = b"2" * 1000, '"two"'
        fetch(WebFile(f"{address}/set.zip", 1000, None, _PAGE), path, wait=_waited.append)
    assert path.read_bytes() == b"2" * 1000


def test_a_part_of_which_nothing_tells_the_version_is_not_gone_on_with(tmp_path: Path) -> None:
    (tmp_path / "set.zip.part").write_bytes(b"something else")
    served = Served(_DATA, etag="")
    assert _fetch(served, tmp_path, digest=None).read_bytes() == _DATA
    assert served.asked == [None]


def test_a_range_that_begins_elsewhere_is_not_appended(tmp_path: Path) -> None:
    served = Served(_DATA, breaks=[400_000], begins_late=7)
    assert _fetch(served, tmp_path, digest=None).read_bytes() == _DATA
    assert served.asked[-1] is None  # anew


def test_a_part_that_is_longer_than_the_file_begins_anew(tmp_path: Path) -> None:
    (tmp_path / "set.zip.part").write_bytes(b"x" * (len(_DATA) + 1))
    served = Served(_DATA)
    assert _fetch(served, tmp_path, n_bytes=None).read_bytes() == _DATA
    assert served.asked == [f"bytes={len(_DATA) + 1}-", None]  # 416, then from the beginning


def test_a_server_that_is_busy_is_asked_again(tmp_path: Path) -> None:
    served = Served(_DATA, statuses=[503, 429])
    assert _fetch(served, tmp_path).read_bytes() == _DATA
    assert _waited == [1.0, 4.0]


@pytest.mark.parametrize(("status", "said"), [(404, "404 Not Found"), (403, "403 Forbidden"), (410, "410 Gone")])
def test_what_is_not_there_is_not_asked_for_again(tmp_path: Path, status: int, said: str) -> None:
    with pytest.raises(FileError, match=rf"cannot be fetched; found {said}.*in a browser from {_PAGE} and put it at"):
        _fetch(Served(_DATA, statuses=[status] * 9), tmp_path)
    assert _waited == []
    assert _left(tmp_path) == []


@pytest.mark.parametrize("chunked", [False, True])
def test_another_length_is_refused(tmp_path: Path, chunked: bool) -> None:
    with pytest.raises(FileError) as refusal:
        _fetch(Served(_DATA[:-1], chunked=chunked), tmp_path)
    assert "1,023,999" in str(refusal.value) if not chunked else "after 1,023,999 of 1,024,000" in str(refusal.value)
    assert not (tmp_path / "set.zip").exists()


def test_more_than_the_file_has_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="the server sends more than the file has"):
        _fetch(Served(_DATA + b"x", chunked=True), tmp_path)
    assert not (tmp_path / "set.zip").exists()


def test_a_length_that_is_declared_and_not_sent_is_a_broken_connection(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"the connection (ended after 10 of 20 bytes|broke)"):
        _fetch(Served(b"0123456789", length=20), tmp_path, digest=None, n_bytes=None)
    assert not (tmp_path / "set.zip").exists()


def test_a_wrong_checksum_leaves_nothing(tmp_path: Path) -> None:
    said = f"not the file that was published, and was deleted; found md5 {_MD5}; expected 0000"
    with pytest.raises(FileError, match=said):
        _fetch(Served(_DATA), tmp_path, digest="0" * 32)
    assert _left(tmp_path) == []


def test_what_was_put_there_by_hand_is_looked_at(tmp_path: Path) -> None:
    (tmp_path / "set.zip").write_bytes(_DATA)
    served = Served(b"never asked")
    assert _fetch(served, tmp_path).read_bytes() == _DATA
    assert served.asked == []
    (tmp_path / "set.zip").write_bytes(_DATA[:-1])
    with pytest.raises(FileError, match="found 1,023,999 bytes; expected 1,024,000"):
        _fetch(served, tmp_path)
    assert _left(tmp_path) == []


def test_redirects_are_followed_with_the_range(tmp_path: Path) -> None:
    path = tmp_path / "set.zip"
    files = {"/old": Served(leads_to="/new"), "/new": Served(_DATA, breaks=[500_000])}
    with serving(files) as address:
        fetch(WebFile(f"{address}/old", len(_DATA), Digest("md5", _MD5), _PAGE), path, wait=_waited.append)
    assert path.read_bytes() == _DATA
    assert files["/new"].asked[1] is not None


def test_a_circle_of_redirects_ends(tmp_path: Path) -> None:
    with (
        serving({"/a": Served(leads_to="/b"), "/b": Served(leads_to="/a")}) as address,
        pytest.raises(FileError, match="cannot be fetched; found 302"),
    ):
        fetch(WebFile(f"{address}/a", None, None, _PAGE), tmp_path / "a", wait=_waited.append)


@pytest.mark.parametrize("place", ["ftp://127.0.0.1/set.zip", "file:///etc/hostname"])
def test_a_redirect_never_leads_out_of_http(tmp_path: Path, place: str) -> None:
    with pytest.raises(FileError):
        _fetch(Served(leads_to=place), tmp_path)
    assert _left(tmp_path) == []


@pytest.mark.parametrize("place", ["ftp://example.org/a", "file:///etc/hostname"])
def test_only_http_is_fetched(tmp_path: Path, place: str) -> None:
    with pytest.raises(FileError, match="only http and https are fetched"):
        fetch(WebFile(place, None, None, _PAGE), tmp_path / "a")


def test_an_address_that_nobody_answers_at_is_a_sentence(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(FileError, match=r"found the server refuses the connection\. Check the connection") as refusal:
        fetch(WebFile(f"http://127.0.0.1:{port}/a", None, None, _PAGE), tmp_path / "a")
    assert str(tmp_path / "a") in str(refusal.value)


def test_a_name_that_is_not_known_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(
        FileError, match=r"https://glioseg\.invalid/a: the address cannot be fetched; found \w.*\. Check"
    ):
        fetch(WebFile("https://glioseg.invalid/a", None, None, _PAGE), tmp_path / "a")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no device that is always full")
def test_a_full_disk_is_said(tmp_path: Path) -> None:
    (tmp_path / "set.zip.part").symlink_to("/dev/full")
    with pytest.raises(FileError, match=r"cannot be written; found No space left on device\. Check the free space"):
        _fetch(Served(_DATA), tmp_path)


def test_a_record_is_read_as_json(tmp_path: Path) -> None:
    with serving({"/record": Served(b'{"files": []}'), "/page": Served(b"<html>")}) as address:
        assert answer(f"{address}/record", _PAGE) == {"files": []}
        with pytest.raises(FileError, match="the address cannot be fetched"):
            answer(f"{address}/page", _PAGE)
