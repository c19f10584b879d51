"""The Dockerfiles: read as they stand, and their steps taken in an empty environment. No image is built here."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.dockerfiles import Built, Step, build, steps_in

ROOT = Path(__file__).parents[1]
DOCKERFILES = sorted((ROOT / "docker").glob("*.Dockerfile"))
PASSWORD = "correct horse battery"
_PATIENCE_S = 300.0


def _file(folder: Path, text: str) -> Path:
    file = folder / "Dockerfile"
    file.write_text(text, encoding="utf-8")
    return file


def test_steps_are_read_without_remarks_and_with_lines_joined(tmp_path: Path) -> None:
    file = _file(tmp_path, "# remark\nFROM python:3.11\n\nrun one \\\n  two\nEXPOSE 80\n")
    assert steps_in(file) == (Step("FROM", "python:3.11"), Step("RUN", "one    two"), Step("EXPOSE", "80"))


@pytest.fixture
def no_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    """Environments without pip, which is most of the time that they take."""
    monkeypatch.setattr("venv.create", lambda folder, with_pip: folder.mkdir(parents=True))


@pytest.mark.usefixtures("no_pip")
def test_steps_are_taken_below_a_folder(tmp_path: Path) -> None:
    (tmp_path / "context" / "src" / "inner").mkdir(parents=True)
    (tmp_path / "context" / "src" / "inner" / "a.txt").write_text("a")
    (tmp_path / "context" / "one.txt").write_text("1")
    (tmp_path / "context" / "two.txt").write_text("2")
    text = (
        "FROM python:3.11\nARG WHO=nobody\nWORKDIR /build\nCOPY one.txt two.txt ./\nCOPY src src\n"
        "COPY one.txt /etc/own\n"
        'ENV HOME=/home MODE=quiet\nRUN cat one.txt two.txt > made.txt && echo "$WHO $MODE $GONE" >> made.txt\n'
        'USER 7:7\nENTRYPOINT ["serve", "/data", "--port", "80"]\n'
    )
    root = tmp_path / "root"
    built = build(_file(tmp_path, text), tmp_path / "context", root, {"WHO": "somebody"})
    assert (root / "build" / "made.txt").read_text() == "12somebody quiet \n"
    assert (root / "build" / "src" / "inner" / "a.txt").read_text() == "a"
    assert (root / "etc" / "own").read_text() == "1"
    assert (built.variables["HOME"], built.said["USER"]) == (str(root / "home"), "7:7")
    assert built.command("ENTRYPOINT", {"80": "8080"}) == ["serve", str(root / "data"), "--port", "8080"]


@pytest.mark.usefixtures("no_pip")
@pytest.mark.parametrize(
    ("step", "what"),
    [
        ("RUN touch /etc/made", "relative to WORKDIR"),
        ("COPY --chown=1 a b", "options are not known"),
        ("ONBUILD RUN true", "ONBUILD is not known"),
    ],
)
def test_what_cannot_be_taken_is_refused(tmp_path: Path, step: str, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        build(_file(tmp_path, f"FROM python:3.11\n{step}\n"), tmp_path, tmp_path / "root")
    with pytest.raises(ValueError, match="only images of Python"):
        build(_file(tmp_path, "FROM debian:12\n"), tmp_path, tmp_path / "other")


@pytest.mark.usefixtures("no_pip")
def test_a_step_that_fails_is_said_with_what_it_printed(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="no such luck"):
        build(_file(tmp_path, "FROM python:3.11\nRUN echo no such luck && false\n"), tmp_path, tmp_path / "root")


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.stem)
def test_every_dockerfile_begins_with_a_python_that_is_promised_and_copies_what_there_is(file: Path) -> None:
    first, *others = steps_in(file)
    if first.text.startswith("python:"):
        minor = int(re.findall(r"python:3\.(\d+)", first.text)[0])
        promised = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["requires-python"]
        low, high = map(int, re.fullmatch(r">=3\.(\d+),<3\.(\d+)", promised).groups())  # type: ignore[union-attr]
        assert low <= minor < high
    for step in others:
        if step.instruction == "COPY":
            assert all((ROOT / source).exists() for source in step.text.split()[:-1]), step.text


def test_the_images_of_the_command_line_differ_in_pytorch_alone() -> None:
    """So that what the test below says of one holds for the other, whose libraries need a GPU to be of use."""
    cpu, cuda = (steps_in(ROOT / "docker" / f"{name}.Dockerfile") for name in ("cpu", "cuda"))
    assert [step for step in cpu if step not in cuda] == [
        Step("ARG", "PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu")
    ]
    assert set(cuda) < set(cpu)


@pytest.mark.slow
def test_the_command_line_of_the_image_masks_a_phantom(tmp_path: Path) -> None:
    built = build(ROOT / "docker" / "cpu.Dockerfile", ROOT, tmp_path, {"PIP_EXTRA_INDEX_URL": None})
    glioseg = built.command("ENTRYPOINT", {})
    for arguments in (
        ("phantom", "patients", "--patients", "1", "--spacing", "6", "--quiet"),
        ("predict", "model:phantom", "patients", "--out", "masks", "--quiet"),
    ):
        subprocess.run([*glioseg, *arguments], env=built.variables, cwd=built.folder, check=True)
    assert len(list((built.folder / "masks").glob("*.nii.gz"))) == 1


# -- the application, from the steps of its Dockerfile to a mask -------------------------------------------------------


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The steps of the application's Dockerfile; PyTorch from where pip finds it here."""
    root = tmp_path_factory.mktemp("image")
    return build(ROOT / "docker" / "app.Dockerfile", ROOT, root, {"PIP_EXTRA_INDEX_URL": None})


@pytest.fixture
def address(built: Built) -> Iterator[str]:
    """The container's entry point at work, with a password where it looks for one."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    secret = built.at("/run/secrets/password")
    secret.parent.mkdir(parents=True)
    secret.write_text(f"{PASSWORD}\n", encoding="utf-8")
    process = subprocess.Popen(
        built.command("ENTRYPOINT", {"8931": port}), env=built.variables, cwd=built.folder, start_new_session=True
    )
    checked = built.command("HEALTHCHECK", {"8931": port})
    end = time.monotonic() + _PATIENCE_S
    while subprocess.run(checked, env=built.variables, capture_output=True, check=False).returncode:
        assert process.poll() is None
        assert time.monotonic() < end, "the application is not healthy"
        time.sleep(0.5)
    yield f"http://127.0.0.1:{port}"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(30)


@pytest.mark.slow
def test_the_application_of_the_image_masks_a_phantom(built: Built, address: str, phantom_data: Path) -> None:
    scans = sorted(path for path in phantom_data.glob("*/*.nii.gz") if "seg" not in path.name)[:4]
    with httpx.Client(base_url=address, timeout=_PATIENCE_S) as stranger:
        assert stranger.get("/api/session").status_code == 401
        assert stranger.post("/login", data={"password": "wrong horse battery"}).status_code == 401
    with httpx.Client(base_url=address, timeout=_PATIENCE_S) as client:
        assert client.post("/login", data={"password": PASSWORD}).status_code == 303
        session = client.get("/api/session").json()
        assert set(session["options"]) == {"register", "brain_extract", "atlas", "uncertainty", "explain"}
        assert all(network["installed"] for network in client.get("/api/models").json())
        client.headers["X-Glioseg-CSRF"] = session["csrf"]
        files = [("files", (f"{path.parent.name}/{path.name}", path.read_bytes())) for path in scans]
        upload = client.post("/api/uploads", files=files).json()
        case = upload["cases"][0]
        chosen = {name: scan["series"] for name, scan in case["modalities"].items()}
        asked = {"upload": upload["upload"], "key": case["key"], "model": "model:phantom", "modalities": chosen}
        case_id = client.post("/api/cases", json=asked).json()["id"]
        end = time.monotonic() + _PATIENCE_S
        while (found := client.get(f"/api/cases/{case_id}").json())["state"] in ("queued", "running"):
            assert time.monotonic() < end
            time.sleep(0.5)
        assert found["state"] == "done", found["error"]
    assert built.at("/cases/.config/glioseg/salt").is_file()  # patients keep their names when the container is replaced
