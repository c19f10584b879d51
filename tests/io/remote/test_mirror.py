"""Files from a bucket and from the web: whole or not at all, brought once, bounded, and refused in a sentence."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import fsspec
import pytest

from glioseg.errors import FileError, GliosegError
from glioseg.io.fetch import WebFile, fetch
from glioseg.io.remote import address
from glioseg.io.remote.address import RemoteFile, as_given, shown, url_of
from glioseg.io.remote.mirror import _is_here, fetched, mirror_options


def _put(s3: fsspec.AbstractFileSystem, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        s3.pipe_file(f"brains/{name}", content)


def _tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The URLs that are brought from now on."""
    from glioseg.io.remote import mirror

    brought: list[str] = []
    real = mirror._streamed

    def streamed(system: Any, url: str, temporary: Path, path: Path) -> int:
        brought.append(url)
        return real(system, url, temporary, path)

    monkeypatch.setattr(mirror, "_streamed", streamed)
    return brought


def test_a_folder_is_brought_once_and_what_changes_is_brought_anew(
    s3: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    _put(s3, {"lgg/a/1.tif": b"one", "lgg/a/2.tif": b"two", "lgg/b.csv": b"three", "other": b"no"})
    brought = _calls(monkeypatch)
    path = fetched(Path("s3://brains/lgg"))
    assert path.name == "lgg"
    assert _tree(path) == {"a/1.tif": b"one", "a/2.tif": b"two", "b.csv": b"three"}
    assert len(brought) == 3
    assert fetched(Path("s3://brains/lgg/")) == path
    assert len(brought) == 3
    _put(s3, {"lgg/a/1.tif": b"ONE", "lgg/c.csv": b"new"})  # of the same size
    s3.rm_file("brains/lgg/b.csv")
    (path / "a" / "2.tif").write_bytes(b"TWO")  # changed here, by whoever
    fetched(Path("s3://brains/lgg"))
    assert _tree(path) == {"a/1.tif": b"ONE", "a/2.tif": b"two", "c.csv": b"new"}
    assert sorted(brought[3:]) == ["brains/lgg/a/1.tif", "brains/lgg/a/2.tif", "brains/lgg/c.csv"]


@pytest.mark.parametrize(
    ("known", "there", "is_here"),
    [
        ((3, "v1"), (3, "v1"), True),
        ((3, "v1"), (3, "v2"), False),
        ((3, "v1"), (4, "v1"), False),
        ((3, None), (3, None), False),
        ((None, "v1"), (None, "v1"), False),
    ],
)
def test_what_is_here_is_told_by_size_and_tag(
    known: tuple[int | None, str | None], there: tuple[int | None, str | None], is_here: bool, tmp_path: Path
) -> None:
    """Without both of them nobody can say, and a file is brought anew."""
    path, file = tmp_path / "a", RemoteFile("s3://brains/a", *there)
    path.write_bytes(b"one")
    changed = path.stat().st_mtime_ns
    assert _is_here(path, file, (*known, changed)) == is_here
    assert not _is_here(path, file, (*known, changed - 1))
    assert not _is_here(tmp_path / "gone", file, (*known, changed))


def test_a_file_alone(s3: fsspec.AbstractFileSystem, web: tuple[str, Path]) -> None:
    _put(s3, {"scans/t2f.nii.gz": b"voxels"})
    assert fetched(Path("s3://brains/scans/t2f.nii.gz")).read_bytes() == b"voxels"
    address, folder = web
    (folder / "t1c.nii.gz").write_bytes(b"more voxels")
    path = fetched(Path(f"{address}/good/t1c.nii.gz?signature=secret"))
    assert (path.name, path.read_bytes()) == ("t1c.nii.gz", b"more voxels")
    assert "secret" not in "".join(text for text in (path.parent / "index.json").read_text(encoding="utf-8"))


def test_a_folder_of_the_web_is_what_its_page_leads_to(web: tuple[str, Path]) -> None:
    address, folder = web
    (folder / "bundle" / "deep").mkdir(parents=True)
    (folder / "bundle" / "weights").write_bytes(b"0" * 3000)
    (folder / "bundle" / "deep" / "card").write_bytes(b"1")
    (folder / "elsewhere").write_bytes(b"not asked for")
    assert _tree(fetched(Path(f"{address}/good/bundle/"))) == {"weights": b"0" * 3000, "deep/card": b"1"}


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("good/nothing.nii.gz", "nothing is there"),
        ("forbidden/t2f.nii.gz", "access is not permitted"),
        ("broken/t2f.nii.gz", "it cannot be reached|the file broke off"),
    ],
)
def test_what_goes_wrong_on_the_web_leaves_nothing(path: str, words: str, web: tuple[str, Path], mirror: Path) -> None:
    with pytest.raises(FileError, match=words) as refused:
        fetched(Path(f"{web[0]}/{path}?signature=secret"))
    assert "secret" not in refused.value.text
    assert [file.name for file in mirror.rglob("*") if file.is_file() and file.name != "index.json"] == []


def test_nobody_at_the_address(mirror: Path) -> None:
    words = r"http://127\.0\.0\.1:9/scan\.nii\.gz: it cannot be reached; found Client\w+: Cannot connect to host"
    with pytest.raises(FileError, match=words):
        fetched(Path("http://user:password@127.0.0.1:9/scan.nii.gz"))


@pytest.mark.parametrize("url", ["s3://brains/nothing", "s3://no-such-bucket/lgg"])
def test_what_is_not_in_a_bucket(s3: fsspec.AbstractFileSystem, url: str) -> None:
    with pytest.raises(FileError, match=f"{url}: nothing is there"):
        fetched(Path(url))


def test_a_bucket_that_may_not_be_read(s3: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    _put(s3, {"lgg/1.tif": b"one"})

    def refuses(*anything: object, **more: object) -> None:
        raise PermissionError("Access Denied for AKIAEXAMPLE")

    monkeypatch.setattr(type(s3), "info", refuses)
    with pytest.raises(FileError, match=r"s3://brains/lgg: access is not permitted.*fsspec's own"):
        fetched(Path("s3://brains/lgg"))


def test_a_file_that_broke_off_is_brought_by_the_next_call(
    s3: fsspec.AbstractFileSystem, mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from glioseg.io.remote import mirror as mirroring

    _put(s3, {"lgg/1.tif": b"one", "lgg/2.tif": b"two"})
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with monkeypatch.context() as patch:
        patch.setattr(mirroring, "_streamed", lambda system, url, temporary, path: temporary.write_bytes(b"o"))
        with pytest.raises(FileError, match="the file broke off; found 1 bytes; expected 3 bytes"):
            fetched(Path("s3://brains/lgg"))
        assert not list(mirror.rglob("*.tif"))
    assert _tree(fetched(Path("s3://brains/lgg"))) == {"1.tif": b"one", "2.tif": b"two"}


def test_a_full_disk(s3: fsspec.AbstractFileSystem, mirror: Path) -> None:
    """A limit of the system in its place: not the network is named, and nothing is tried again."""
    resource = pytest.importorskip("resource")
    _put(s3, {"lgg/1.tif": b"0" * 200_000})
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(FileError, match=r"1\.tif: cannot be written; found File too large.*free space") as refused:
            fetched(Path("s3://brains/lgg"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "network" not in refused.value.text
    assert not [path for path in mirror.rglob("*") if path.is_file() and path.name not in ("index.json", ".lock")]


def test_a_server_that_says_nothing(web: tuple[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """It is left after so many seconds without a word, however long a file may take."""
    monkeypatch.setattr(address, "_SILENCE_S", 0.2)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/t2f.nii.gz"
        with pytest.raises(FileError, match=r"it cannot be reached; found .*[Tt]imeout"):
            fetched(Path(url))


def test_a_certificate_that_nobody_vouches_for(
    encrypted: tuple[str, Path, Path], s3: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The same sentence of the web, of a bucket and of what is downloaded, with the variable that each looks at."""
    address = encrypted[0]
    found = "the server's certificate is not trusted; found self-signed certificate"
    with pytest.raises(FileError, match=rf"{address}/good/t2f\.nii\.gz: {found}.*SSL_CERT_FILE=FILE\.pem"):
        fetched(Path(f"{address}/good/t2f.nii.gz"))
    with pytest.raises(FileError, match=rf"{address}/good: {found}.*SSL_CERT_FILE=FILE\.pem"):
        fetch(WebFile(f"{address}/good", None, None, "a page"), tmp_path / "file")
    told = {"key": "AKIAEXAMPLE", "secret": "s", "client_kwargs": {"endpoint_url": address}}
    once = {"config_kwargs": {"retries": {"max_attempts": 1}}}
    monkeypatch.setitem(fsspec.config.conf, "s3", told | once)
    with pytest.raises(FileError, match=rf"s3://brains/lgg: {found}.*AWS_CA_BUNDLE=FILE\.pem"):
        fetched(Path("s3://brains/lgg"))


@pytest.mark.slow
def test_a_certificate_that_the_user_vouches_for(encrypted: tuple[str, Path, Path], tmp_path: Path) -> None:
    """In a process of its own, since libraries look at the environment when they are loaded."""
    address, folder, certificate = encrypted
    (folder / "t2f.nii.gz").write_bytes(b"one")
    code = (
        f"from glioseg.io.remote.mirror import fetched; print(fetched({f'{address}/good/t2f.nii.gz'!r}).read_bytes())"
    )
    own = {"SSL_CERT_FILE": str(certificate), "HOME": str(tmp_path)}
    ran = subprocess.run([sys.executable, "-c", code], env=os.environ | own, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "b'one'"


def test_the_web_behind_a_proxy(web: tuple[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """As hospitals have it: whatever is asked for is asked of the proxy that the environment names."""
    address, folder = web
    (folder / "t2f.nii.gz").write_bytes(b"one")
    monkeypatch.setenv("http_proxy", address)
    assert fetched(Path("http://elsewhere.invalid/good/t2f.nii.gz")).read_bytes() == b"one"


def test_what_was_not_used_for_longest_makes_room(s3: fsspec.AbstractFileSystem, mirror: Path, tmp_path: Path) -> None:
    """Nothing of the last day does, since somebody may be reading it."""
    _put(s3, {f"{name}/scan": name.encode() * 40 for name in ("a", "b", "c")})
    first, second = (fetched(Path(f"s3://brains/{name}")) for name in ("a", "b"))
    (tmp_path / "mirror.toml").write_text(f'folder = "{mirror}"\nlimit_gb = 1e-7\n', encoding="utf-8")
    with pytest.raises(FileError, match=r"no room for it beside what was fetched within a day.*Raise limit_gb in"):
        fetched(Path("s3://brains/c"))
    for days, path in ((3, first), (2, second)):
        index = json.loads((path.parent / "index.json").read_text(encoding="utf-8"))
        (path.parent / "index.json").write_text(json.dumps(index | {"used": time.time() - days * 86_400}))
    size = sum(file.stat().st_size for file in second.parent.rglob("*") if file.is_file())
    (tmp_path / "mirror.toml").write_text(f'folder = "{mirror}"\nlimit_gb = {(size + 60) / 1e9}\n', encoding="utf-8")
    third = fetched(Path("s3://brains/c"))
    assert [path.exists() for path in (first, second, third)] == [False, True, True]


def test_settings_that_say_something_else(tmp_path: Path) -> None:
    (tmp_path / "mirror.toml").write_text("limit = 3", encoding="utf-8")
    with pytest.raises(FileError, match=r"mirror\.toml: not the settings of the mirror; found limit"):
        mirror_options()


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("s3:/brains/lgg", "s3://brains/lgg"),
        ("https://a.b/c.nii.gz", "https://a.b/c.nii.gz"),
        ("gs://x", "gs://x"),
        ("C:/scans", None),
        ("model:brats", None),
        ("s3", None),
        ("ftp://a/b", None),
    ],
)
def test_what_is_an_address(text: str, url: str | None) -> None:
    assert url_of(Path(text)) == url


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("s3://brains/runs/lgg", "s3://brains/runs/lgg"),
        ("https://me:pass@host/a?signature=b", "https://host/a"),
        ("runs/lgg", str(Path("runs/lgg"))),
    ],
)
def test_what_was_typed_can_be_typed_again(path: str, text: str) -> None:
    """A path has lost a slash of its URL."""
    assert as_given(Path(path)) == text


def test_what_is_shown_holds_no_secrets() -> None:
    text = "Cannot connect to https://me:pass@host/a?X-Amz-Signature=abc&b=c now"
    assert shown(text) == "Cannot connect to https://host/a now"


def test_fsspec_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(GliosegError, match=r"a library for such an address is missing.*glioseg\[scale\]"):
        fetched(Path("s3://brains/lgg"))
