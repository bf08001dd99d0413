"""Give a restored entry its owner, attributes, mode, times and flags, in the order in which none undoes another.

Source: spec formats §8.3. Owner first, because a change of owner takes capabilities and set-id bits away; mode after ACLs, whose mask is in
it; times after everything that changes the file; flags last, since some forbid any further change. What cannot be set is warned of, and the
entry stays. Without root's rights owners are not restored, and set-id bits are not given to files of another owner.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable

from platevault.client.tree import acl
from platevault.client.tree.attributes import CAPABILITIES, is_kept
from platevault.client.tree.inode_flags import EARLY, LATE, add_flags, set_project
from platevault.client.tree.tree_log import TreeLog
from platevault.formats.pxar.entry import Entry
from platevault.formats.pxar.metadata import NOTHING

SET_ID = stat.S_ISUID | stat.S_ISGID


class AttributeWriter:
    """Sets attributes of many entries. One thread. `inherits`: entries get ACLs of a directory that was there before; they are removed."""

    def __init__(self, log: TreeLog) -> None:
        self._log = log
        self._as_root = os.geteuid() == 0
        self.inherits = False
        if not self._as_root:
            log.note("not root: owners, devices, capabilities and trusted attributes are not restored")

    def prepare(self, file: int, entry: Entry, path: bytes) -> None:
        """Before the content is written: flags that say how it is stored."""
        if entry.stat.flags & EARLY:
            self._try(path, "flags", lambda: add_flags(file, entry.stat.flags & EARLY))

    def finish(self, file: int, entry: Entry, path: bytes) -> None:
        """The rest, of an open file or directory whose content is complete."""
        mode, flags, uid, gid, *_ = entry.stat
        mtime = entry.stat.mtime
        try:
            if self._as_root:
                os.fchown(file, uid, gid)
            if self.inherits:
                self._remove_inherited(file)
            if entry.metadata is not NOTHING:
                self._metadata(file, entry, path)
            os.fchmod(file, mode & 0o7777 if self._as_root else self._permissions(entry))
            os.utime(file, ns=(mtime, mtime))
        except (OSError, OverflowError) as error:
            self._log.warn(path, f"owner, mode or time cannot be set: {error}")
        if flags & LATE:
            self._try(path, "flags", lambda: add_flags(file, flags & LATE))

    def finish_link(self, directory: int, entry: Entry, path: bytes) -> None:
        """Owner and time of a symbolic link."""
        state = entry.stat
        try:
            if self._as_root:
                os.chown(entry.name, state.uid, state.gid, dir_fd=directory, follow_symlinks=False)
            os.utime(entry.name, ns=(state.mtime, state.mtime), dir_fd=directory, follow_symlinks=False)
        except (OSError, OverflowError) as error:
            self._log.warn(path, f"owner or time cannot be set: {error}")

    def finish_node(self, directory: int, entry: Entry, path: bytes) -> None:
        """Owner, mode and time of a device, fifo or socket, which cannot be opened without waking what is behind it."""
        state = entry.stat
        try:
            node = os.open(entry.name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
            try:
                # The only way to change the mode of an inode that is not open, without a name that could be exchanged.
                place = f"/proc/self/fd/{node}"
                if self._as_root:
                    os.chown(place, state.uid, state.gid)
                os.chmod(place, self._permissions(entry))
                os.utime(place, ns=(state.mtime, state.mtime))
            finally:
                os.close(node)
        except (OSError, OverflowError) as error:
            self._log.warn(path, f"owner, mode or time cannot be set: {error}")

    def _permissions(self, entry: Entry) -> int:
        permissions = entry.stat.permissions
        if not self._as_root and (entry.stat.uid != os.geteuid() or entry.stat.gid != os.getegid()):
            return permissions & ~SET_ID
        return permissions

    def _metadata(self, file: int, entry: Entry, path: bytes) -> None:
        kept = entry.metadata
        for raw, value in kept.xattrs:
            self._set_named(file, os.fsdecode(raw), value, path)
        others: tuple[tuple[str, bytes | None], ...] = (
            (CAPABILITIES, kept.capabilities),
            (acl.ACCESS_XATTR, acl.access_value(entry.stat.mode, kept)),
            (acl.DEFAULT_XATTR, acl.default_value(kept)),
        )
        for name, content in others:
            if content is not None:
                self._set(file, name, content, path)
        if kept.project:
            project = kept.project
            self._try(path, "quota project", lambda: set_project(file, project))

    def _set_named(self, file: int, name: str, value: bytes, path: bytes) -> None:
        """An archive may hold names that writers never put into it, and that mean something to the kernel."""
        if is_kept(name):
            self._set(file, name, value, path)
        else:
            self._log.warn(path, f"attribute {name!r} is not restored: archives have no such attributes")

    def _set(self, file: int, name: str, value: bytes, path: bytes) -> None:
        if not self._as_root and (name.startswith(("trusted.", "security."))):
            return
        self._try(path, f"attribute {name}", lambda: os.setxattr(file, name, value))

    def _remove_inherited(self, file: int) -> None:
        for name in (acl.ACCESS_XATTR, acl.DEFAULT_XATTR):
            try:
                os.removexattr(file, name)
            except OSError as error:
                if error.errno not in (errno.ENODATA, errno.EOPNOTSUPP):
                    raise

    def _try(self, path: bytes, what: str, action: Callable[[], object]) -> None:
        try:
            action()
        except (OSError, ValueError, OverflowError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            self._log.warn(path, f"{what} cannot be set: {reason}")
