"""A site with the configuration and the datastore of a recorded server, and the recorded requests; see vectors/rest/ORIGIN.md.

Passwords are the hashes as they were; token secrets are hashed anew, because only their text is of use to us.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import re
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import zstandard
from sqlalchemy import insert

from kit.fixture_store import NAME
from kit.site import Site
from platevault.clock import ManualClock
from platevault.config.acl import AclEntry
from platevault.config.datastores import DatastoreConfig
from platevault.config.job_states import JobState
from platevault.config.jobs import PruneJob, SyncJob, VerifyJob
from platevault.config.secrets import PASSWORD, TOKEN, Secrets
from platevault.config.tables import task, task_line
from platevault.config.users import Token, User
from platevault.formats.upid import Upid
from platevault.services.gc_status import GcStatus
from platevault.services.usage import series_name

VECTORS = Path(__file__).parents[1] / "vectors" / "rest"
CONFIG = VECTORS / "config"
STORE = "fix"
RECORDED_AT = 1795397690.0
WIRE_GC = "UPID:pbs-fixture:0000002C:0005E679:00000063:6B0394FC:garbage_collection:wire:admin@pbs:"
LIST_FIELDS = ("group-filter",)
DISK_FIELDS = ("read_ios", "read_bytes", "write_ios", "write_bytes", "io_ticks")
_HEADER = re.compile(r"(?P<kind>[a-z-]+): (?P<id>\S+)")

Record = dict[str, Any]


@cache
def recording(name: str) -> list[Record]:
    """The requests of one recording, in order."""
    return [json.loads(line) for line in (VECTORS / f"{name}.jsonl").read_text().splitlines()]


@cache
def secrets() -> Record:
    content: Record = json.loads((CONFIG / "secrets.json").read_text())
    return content


@contextmanager
def recorded_site(where: Path, store_parent: Path) -> Iterator[Site]:
    """The site; `store_parent` is a directory that holds the recorded datastore."""
    site = Site(where, ManualClock(RECORDED_AT))
    try:
        _configure(site, store_parent / NAME)
        _import_tasks(site)
        _take_samples(site)
        yield site
    finally:
        site.close()


# --- configuration ---


def sections(name: str) -> Iterator[tuple[str, str, Record]]:
    """Type, id and fields of each section of a configuration file."""
    for block in (CONFIG / name).read_text().split("\n\n"):
        lines = block.strip().splitlines()
        header = _HEADER.fullmatch(lines[0]) if lines else None
        if header is None:
            continue
        fields: Record = {}
        for line in lines[1:]:
            key, _, text = line.strip().partition(" ")
            if key in LIST_FIELDS:
                fields.setdefault(key, []).append(text)
            else:
                fields[key] = _value(text)
        yield header["kind"], header["id"], fields


def _value(text: str) -> object:
    if text in ("true", "false"):
        return text == "true"
    return int(text) if text.isdigit() else text


def _made(kind: type[Any], key: str, entry_id: str, fields: Record) -> Any:
    known = {field.name for field in dataclasses.fields(kind)}
    values = {name.replace("-", "_"): value for name, value in fields.items()}
    assert values.keys() <= known, values
    return kind(**{key: entry_id, **values})


def _configure(site: Site, store_path: Path) -> None:
    services = site.services
    services.datastores.configs.delete(site.store.name)
    for _, name, fields in sections("datastore.cfg"):
        if name == STORE:
            services.datastores.configs.insert(_made(DatastoreConfig, "name", name, fields | {"path": str(store_path)}))
        else:
            site.add_store(name).save_gc_status(GcStatus(upid=WIRE_GC, cache_hits=6, cache_misses=28).record())
    for kind, entry_id, fields in sections("user.cfg"):
        if kind == "user":
            services.accounts.users.put(_made(User, "userid", entry_id, fields))
        else:
            services.accounts.tokens.put(_made(Token, "tokenid", entry_id, fields))
    for line in (CONFIG / "acl.cfg").read_text().splitlines():
        _, propagate, path, ids, roles = line.split(":")
        for auth_id in ids.split(","):
            for role in roles.split(","):
                services.accounts.acl.put(AclEntry(path, auth_id, role, propagate == "1"))
    _configure_secrets(site)
    _configure_jobs(site)


def _configure_secrets(site: Site) -> None:
    kept = Secrets(site.services.database)
    for name, text in json.loads((CONFIG / "shadow.json").read_text()).items():
        kept.set(PASSWORD, f"{name}@pbs", text.encode())
    for tokenid, secret in secrets()["tokens"].items():
        kept.set(TOKEN, tokenid, hashlib.sha256(secret.encode()).digest())


def _configure_jobs(site: Site) -> None:
    jobs = site.services.jobs
    for _, job_id, fields in sections("prune.cfg"):
        jobs.prune.insert(_made(PruneJob, "id", job_id, fields))
    for _, job_id, fields in sections("verification.cfg"):
        jobs.verification.insert(_made(VerifyJob, "id", job_id, fields))
    for _, job_id, fields in sections("sync.cfg"):
        jobs.sync.insert(_made(SyncJob, "id", job_id, fields))
    for file in sorted((CONFIG / "jobstates").glob("*.json")):
        kind, _, job_id = file.stem.partition("-")
        finished = json.loads(file.read_text()).get("finished")
        if finished is not None:
            jobs.states.record(kind, job_id, _state(finished))


def _state(finished: Record) -> JobState:
    [(word, about)] = finished["state"].items()
    text = f"WARNINGS: {about['count']}" if word == "Warning" else "OK"
    return JobState(finished["upid"], text, about["endtime"])


def _take_samples(site: Site) -> None:
    """One sample of everything; what the sampler does not take is made up, so that the shapes can be compared."""
    site.app.sampler.take()
    rates = dict.fromkeys(("netin", "netout", *DISK_FIELDS), 0.5)
    site.services.series.add("host", RECORDED_AT, rates)
    site.services.series.add(series_name(STORE), RECORDED_AT, dict.fromkeys(DISK_FIELDS, 0.5))


# --- tasks ---


def _import_tasks(site: Site) -> None:
    files = _task_files()
    with site.services.database.begin() as connection:
        for line in files["archive"].decode().splitlines():
            text, end, status = line.split(" ", 2)
            connection.execute(insert(task).values(**_task_row(text), endtime=int(end, 16), status=status))
            lines = files.get(text, b"").decode().splitlines()
            if lines:
                connection.execute(insert(task_line), [{"upid": text, "number": at, "text": one} for at, one in enumerate(lines, 1)])


def _task_row(text: str) -> Record:
    upid = Upid.parse(text)
    return {
        "upid": text,
        "node": upid.node,
        "pid": upid.pid,
        "pstart": upid.pstart,
        "start": upid.start,
        "worker_type": upid.worker_type,
        "worker_id": upid.worker_id,
        "auth_id": upid.auth_id,
    }


def _task_files() -> dict[str, bytes]:
    """Content of every file below `tasks`, by name."""
    plain = zstandard.ZstdDecompressor().stream_reader(io.BytesIO((CONFIG / "task-logs.tar.zst").read_bytes()))
    found = {}
    with tarfile.open(fileobj=plain, mode="r|") as archive:
        for member in archive:
            file = archive.extractfile(member) if member.isfile() else None
            if file is not None and "/tasks/" in member.name:
                found[Path(member.name).name] = file.read()
    return found
