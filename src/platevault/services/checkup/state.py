"""Checks of the server's own state: directory, database, certificate."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import func, select

from platevault.config.database import Database, DatabaseFailed
from platevault.config.tables import task
from platevault.services.certificate import Certificate
from platevault.services.checkup.finding import Finding, error, ok, warning

DAY_S = 24 * 3600
SOON_DAYS = 30


def check_state_dir(path: Path) -> Finding:
    """Whether only its owner can look into the state directory."""
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        return warning("state directory", f"{path} can be read by others (mode {mode:04o})", f"chmod 700 {path}")
    return ok("state directory", str(path))


def check_database(database: Database) -> Finding:
    """Whether the state database can be read; with SQLite also whether its pages are sound."""
    advice = "restore the state directory from its backup; datastores are not affected"
    try:
        with database.read() as connection:
            if connection.dialect.name != "sqlite":
                return ok("state database", connection.dialect.name)
            found = [str(row[0]) for row in connection.exec_driver_sql("PRAGMA integrity_check(10)")]
    except DatabaseFailed as problem:
        return error("state database", str(problem), advice)
    return ok("state database", "sound") if found == ["ok"] else error("state database", "; ".join(found), advice)


def newest_task_start(database: Database) -> float | None:
    """When the newest task began, in seconds since the epoch; None when there was none."""
    with database.read() as connection:
        found = connection.execute(select(func.max(task.c.start))).scalar_one_or_none()
    return None if found is None else float(found)


def check_certificate(certificate: Certificate, now: float) -> Finding:
    """Whether clients can go on trusting the server's certificate. now: seconds since the epoch."""
    leaf = certificate.leaf
    begins, ends = leaf.not_valid_before_utc.timestamp(), leaf.not_valid_after_utc.timestamp()
    advice = "replace certificate and key, restart, and give clients the new fingerprint"
    if now >= ends:
        return error("certificate", f"ran out {(now - ends) / DAY_S:.0f} days ago", advice)
    if now < begins:
        return error("certificate", "is not valid yet", "check the clock; otherwise " + advice)
    if ends - now < SOON_DAYS * DAY_S:
        return warning("certificate", f"runs out in {(ends - now) / DAY_S:.0f} days", advice)
    return ok("certificate", f"valid until {leaf.not_valid_after_utc:%Y-%m-%d}, fingerprint {certificate.fingerprint}")
