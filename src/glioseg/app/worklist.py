"""The worklist: every case, its state and its corrections, in one SQLite file that survives whatever ends the program.

A case is a row; its files lie in ``cases/ID``. A row says ``done`` only once all files are there, and what was running
when the program ended is queued again when it starts.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from glioseg.app.places import PRIVATE

State = Literal["queued", "running", "done", "failed", "cancelled"]
_PATIENCE_S = 30.0
_VOLUMES = "volumes_ml"
_TABLES = """
CREATE TABLE IF NOT EXISTS uploads (
    id TEXT PRIMARY KEY, created TEXT NOT NULL, folder TEXT NOT NULL, found TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS cases (
    id TEXT PRIMARY KEY, place INTEGER NOT NULL, created TEXT NOT NULL, name TEXT NOT NULL, patient TEXT NOT NULL,
    model TEXT NOT NULL, request TEXT NOT NULL, state TEXT NOT NULL, step TEXT NOT NULL DEFAULT '',
    share REAL NOT NULL DEFAULT 0, summary TEXT, error TEXT
);
CREATE INDEX IF NOT EXISTS by_state ON cases (state, place);
"""
_CORRECTIONS = """
CREATE TABLE IF NOT EXISTS corrections (
    case_id TEXT NOT NULL, n INTEGER NOT NULL, made_by TEXT NOT NULL, at TEXT NOT NULL, note TEXT NOT NULL,
    measured TEXT NOT NULL, PRIMARY KEY (case_id, n)
);
"""


@dataclass(frozen=True)
class UploadRecord:
    """Scans that were brought: where they lie, and what was found in them."""

    id: str
    folder: Path
    found: Mapping[str, Any]


@dataclass(frozen=True)
class ListedCase:
    """A case of the worklist.

    Args:
        id: by which it is addressed; says nothing of the patient.
        created: when it was queued, ISO 8601.
        name: what it is called on the page.
        patient: likewise, a digest.
        model: the network.
        request: what was asked for.
        state: where it stands; ``step`` and ``share`` (0 to 1) of it while it runs.
        summary: what the list shows of its result; None before there is one.
        error: why it failed, as errors are answered; None where it did not.
        n_corrections: how many masks were drawn over the network's,
        drawn_ml: and the volumes in the last one; None where there is none.
    """

    id: str
    created: str
    name: str
    patient: str
    model: str
    request: Mapping[str, Any]
    state: State
    step: str
    share: float
    summary: Mapping[str, Any] | None
    error: Mapping[str, Any] | None
    n_corrections: int
    drawn_ml: Mapping[str, float] | None


@dataclass(frozen=True)
class Correction:
    """A mask that somebody drew.

    Args:
        n: the n-th of its case.
        by: whose it is.
        at: when it was kept, ISO 8601.
        note: a remark.
        measured: of it, see ``facts.measured``.
    """

    n: int
    by: str
    at: str
    note: str
    measured: Mapping[str, Any]

    @property
    def volumes_ml(self) -> Mapping[str, float]:
        """Region -> its volume."""
        volumes: Mapping[str, float] = self.measured[_VOLUMES]
        return volumes


class Worklist:
    """The database of one folder; every call is a transaction of its own, from whatever thread.

    Args:
        file: where it lies; made where it is absent.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        file.parent.mkdir(PRIVATE, parents=True, exist_ok=True)
        file.touch(0o600)
        with self._transaction() as database:
            database.execute("PRAGMA journal_mode=WAL")
            database.executescript(_TABLES + _CORRECTIONS)
            _bring_up_to_date(database)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._file, timeout=_PATIENCE_S)) as database:
            database.row_factory = sqlite3.Row
            with database:
                yield database

    # -- uploads -------------------------------------------------------------------------------------------------------

    def add_upload(self, upload: UploadRecord) -> None:
        """Remember what was brought."""
        with self._transaction() as database:
            values = (upload.id, now(), str(upload.folder), json.dumps(upload.found))
            database.execute("INSERT INTO uploads (id, created, folder, found) VALUES (?, ?, ?, ?)", values)

    def upload(self, upload_id: str) -> UploadRecord | None:
        """What was brought under an id."""
        with self._transaction() as database:
            row = database.execute("SELECT * FROM uploads WHERE id = ?", (upload_id,)).fetchone()
        return None if row is None else UploadRecord(row["id"], Path(row["folder"]), json.loads(row["found"]))

    # -- cases ---------------------------------------------------------------------------------------------------------

    def add_case(self, case_id: str, name: str, patient: str, model: str, request: Mapping[str, Any]) -> None:
        """Queue a case behind all others."""
        with self._transaction() as database:
            database.execute(
                "INSERT INTO cases (id, place, created, name, patient, model, request, state) "
                "VALUES (?, (SELECT COALESCE(MAX(place), 0) + 1 FROM cases), ?, ?, ?, ?, ?, 'queued')",
                (case_id, now(), name, patient, model, json.dumps(request)),
            )

    def cases(self) -> list[ListedCase]:
        """All cases, the newest first."""
        return self._select("ORDER BY place DESC", ())

    def case(self, case_id: str) -> ListedCase | None:
        """One case."""
        return next(iter(self._select("WHERE id = ?", (case_id,))), None)

    def of_patient(self, patient: str) -> list[ListedCase]:
        """The cases of a patient, the oldest first."""
        return self._select("WHERE patient = ? ORDER BY place", (patient,))

    def _select(self, where: str, values: tuple[object, ...]) -> list[ListedCase]:
        counted = (
            "(SELECT COUNT(*) FROM corrections WHERE case_id = cases.id) AS n_corrections, "
            "(SELECT measured FROM corrections WHERE case_id = cases.id ORDER BY n DESC LIMIT 1) AS drawn"
        )
        with self._transaction() as database:
            rows = database.execute(f"SELECT *, {counted} FROM cases {where}", values).fetchall()
        return [_record(row) for row in rows]

    def take_next(self) -> ListedCase | None:
        """The case that has waited longest, which is running from now on."""
        with self._transaction() as database:
            row = database.execute(
                "UPDATE cases SET state = 'running', step = '', share = 0 WHERE id = "
                "(SELECT id FROM cases WHERE state = 'queued' ORDER BY place LIMIT 1) RETURNING id"
            ).fetchone()
        return None if row is None else self.case(row["id"])

    def move(self, case_id: str, state: State, *, given: tuple[State, ...]) -> bool:
        """Change the state of a case that is in one of those given; whether it was."""
        marks = ", ".join("?" * len(given))
        with self._transaction() as database:
            changed = database.execute(
                f"UPDATE cases SET state = ?, step = '', share = 0 WHERE id = ? AND state IN ({marks})",
                (state, case_id, *given),
            )
        return changed.rowcount > 0

    def again(self, case_id: str) -> bool:
        """Queue a case that has ended once more, behind all others; whether it had."""
        with self._transaction() as database:
            changed = database.execute(
                "UPDATE cases SET state = 'queued', step = '', share = 0, error = NULL, "
                "place = (SELECT MAX(place) + 1 FROM cases) WHERE id = ? AND state IN ('failed', 'cancelled')",
                (case_id,),
            )
        return changed.rowcount > 0

    def step(self, case_id: str, step: str, share: float) -> None:
        """How far a running case is."""
        with self._transaction() as database:
            database.execute(
                "UPDATE cases SET step = ?, share = ? WHERE id = ? AND state = 'running'", (step, share, case_id)
            )

    def finish(self, case_id: str, summary: Mapping[str, Any]) -> None:
        """A running case is done: all of its files are there."""
        with self._transaction() as database:
            database.execute(
                "UPDATE cases SET state = 'done', step = '', share = 1, summary = ?, error = NULL WHERE id = ?",
                (json.dumps(summary), case_id),
            )

    def fail(self, case_id: str, error: Mapping[str, Any]) -> None:
        """A running case cannot be predicted."""
        with self._transaction() as database:
            database.execute(
                "UPDATE cases SET state = 'failed', step = '', share = 0, error = ? WHERE id = ?",
                (json.dumps(error), case_id),
            )

    def requeue_running(self) -> int:
        """What was running when the program ended waits again, before all others; how many there were."""
        with self._transaction() as database:
            changed = database.execute(
                "UPDATE cases SET state = 'queued', step = '', share = 0 WHERE state = 'running'"
            )
        return changed.rowcount

    def delete(self, case_id: str) -> None:
        """Forget a case and its corrections."""
        with self._transaction() as database:
            database.execute("DELETE FROM corrections WHERE case_id = ?", (case_id,))
            database.execute("DELETE FROM cases WHERE id = ?", (case_id,))

    # -- corrections ---------------------------------------------------------------------------------------------------

    def add_correction(self, case_id: str, correction: Correction, put: Callable[[int], object]) -> Correction:
        """Remember who corrected a case.

        Args:
            case_id: the case.
            correction: what is known of it; its number is the next one.
            put: puts its file in its place, told the number, before anybody can see it.
        """
        with self._transaction() as database:
            (n,) = database.execute(
                "INSERT INTO corrections (case_id, n, made_by, at, note, measured) "
                "VALUES (?, (SELECT COALESCE(MAX(n), 0) + 1 FROM corrections WHERE case_id = ?), ?, ?, ?, ?) "
                "RETURNING n",
                (case_id, case_id, correction.by, correction.at, correction.note, json.dumps(correction.measured)),
            ).fetchone()
            put(n)
        return replace(correction, n=n)

    def corrections(self, case_id: str) -> list[Correction]:
        """The corrections of a case, in order."""
        with self._transaction() as database:
            rows = database.execute("SELECT * FROM corrections WHERE case_id = ? ORDER BY n", (case_id,)).fetchall()
        return [
            Correction(row["n"], row["made_by"], row["at"], row["note"], json.loads(row["measured"])) for row in rows
        ]


def now() -> str:
    """The time, ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _bring_up_to_date(database: sqlite3.Connection) -> None:
    """Older lists keep the volumes of a drawn mask in a column of their own, the oldest nothing else of it."""
    database.execute("BEGIN IMMEDIATE")  # or a table would be dropped before its rows are in the other
    columns = {row["name"] for row in database.execute("PRAGMA table_info(corrections)")}
    if "volumes" not in columns:
        return
    kept = database.execute("SELECT * FROM corrections").fetchall()
    database.execute("DROP TABLE corrections")
    database.execute(_CORRECTIONS)
    for row in kept:
        alone = {_VOLUMES: json.loads(row["volumes"]), "lesions": [], "largest": None, "diameters": []}
        measured = row["measured"] if "measured" in columns else json.dumps(alone)
        row_values = (row["case_id"], row["n"], row["made_by"], row["at"], row["note"], measured)
        database.execute("INSERT INTO corrections VALUES (?, ?, ?, ?, ?, ?)", row_values)


def _record(row: sqlite3.Row) -> ListedCase:
    return ListedCase(
        id=row["id"],
        created=row["created"],
        name=row["name"],
        patient=row["patient"],
        model=row["model"],
        request=json.loads(row["request"]),
        state=row["state"],
        step=row["step"],
        share=row["share"],
        summary=None if row["summary"] is None else json.loads(row["summary"]),
        error=None if row["error"] is None else json.loads(row["error"]),
        n_corrections=row["n_corrections"],
        drawn_ml=None if row["drawn"] is None else json.loads(row["drawn"])[_VOLUMES],
    )
