"""Small files that change as a whole: temp file in the same directory, rename. Blobs, manifest, owner, notes, `.gc-status`.

Source: spec formats §1.5: temp name `<name>.tmp_XXXXXX`, created 0600, then 0644, then renamed. On any error the temp file goes.
"""

from __future__ import annotations

import os
import secrets
import string

from platevault.store.filesystem.dirs import Owner, write_all
from platevault.store.filesystem.options import SyncLevel

LETTERS = string.ascii_letters + string.digits


def create_temp(parent: int, name: str, *, owner: Owner | None, mode: int = 0o644) -> tuple[int, str]:
    """A new file `<name>.tmp_XXXXXX` of the wanted mode: descriptor and name."""
    while True:
        temp = f"{name}.tmp_{''.join(secrets.choice(LETTERS) for _ in range(6))}"
        try:
            descriptor = os.open(temp, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=parent)
        except FileExistsError:
            continue
        try:
            os.fchmod(descriptor, mode)
            if owner is not None:
                os.fchown(descriptor, *owner)
        except OSError:
            os.close(descriptor)
            forget(parent, temp)
            raise
        return descriptor, temp


def replace_file(
    parent: int, name: str, data: bytes | memoryview, *, owner: Owner | None, sync: SyncLevel, exclusive: bool = False
) -> None:
    """Give `name` the content `data`: afterwards the old or the new content is there, never a mixture. Raises OSError.

    sync: NONE promises nothing; with the other levels the new content survives a power cut on return.
    exclusive: FileExistsError when `name` is there already.
    """
    descriptor, temp = create_temp(parent, name, owner=owner)
    try:
        try:
            write_all(descriptor, data, 0)
            if sync is not SyncLevel.NONE:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if exclusive:
            os.link(temp, name, src_dir_fd=parent, dst_dir_fd=parent, follow_symlinks=False)
            forget(parent, temp)
        else:
            os.rename(temp, name, src_dir_fd=parent, dst_dir_fd=parent)
    except BaseException:
        forget(parent, temp)
        raise
    if sync is not SyncLevel.NONE:
        os.fsync(parent)


def forget(parent: int, name: str) -> bool:
    """Remove a file if it is there. Errors other than absence are swallowed: the caller is on its way out with a better one."""
    try:
        os.unlink(name, dir_fd=parent)
    except OSError:
        return False
    return True
