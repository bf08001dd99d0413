"""The snapshot that a reading command names, opened with the key that its options give."""

from __future__ import annotations

from typing import TYPE_CHECKING

from platevault.cli.client_key_options import KeyOptions, reading_key
from platevault.cli.client_options import Client
from platevault.cli.output import note

if TYPE_CHECKING:
    from platevault.client.reader import SnapshotReader


def open_snapshot(client: Client, text: str, options: KeyOptions) -> SnapshotReader:
    """A reader of TYPE/ID/TIME, or of the newest finished snapshot of TYPE/ID. Who gives a key is told when nothing was signed with it."""
    from platevault.client.reader import SnapshotReader
    from platevault.client.snapshots import resolve_snapshot

    key = reading_key(options)
    name = resolve_snapshot(lambda: client.rest, client.repository.store, client.ns, text)
    reader = SnapshotReader(client.open_reader(name), key, name)
    if options.is_given and not reader.is_signed:
        note(f"warning: {name} is not signed with the key: nothing shows that it is what was backed up")
    return reader
