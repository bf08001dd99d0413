"""ACLs between kernel and archive: what is taken apart can be put together again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platevault.client.tree.acl import KernelAcl, UnknownAcl, access_value, default_value
from platevault.formats.pxar.metadata import AclEntry, DefaultAcl, Metadata

bits = st.integers(0, 7)
ids = st.dictionaries(st.integers(0, 2**32 - 2), bits, max_size=4)


def named(found: dict[int, int]) -> tuple[AclEntry, ...]:
    return tuple(AclEntry(*pair) for pair in sorted(found.items()))


@given(st.integers(0, 0o777), ids, ids, bits)
def test_access(mode: int, users: dict[int, int], groups: dict[int, int], group: int) -> None:
    wanted = Metadata(users=named(users), groups=named(groups), group_permissions=group)
    value = access_value(mode, wanted)
    assert value is not None
    acl = KernelAcl(value)
    assert (acl.users, acl.groups, acl.group_permissions) == (wanted.users, wanted.groups, group)
    assert acl.unnamed[0x10] == mode >> 3 & 7


@given(bits, bits, bits, st.none() | bits, ids)
def test_default(user: int, group: int, other: int, mask: int | None, users: dict[int, int]) -> None:
    wanted = Metadata(default=DefaultAcl(user, group, other, mask), default_users=named(users))
    value = default_value(wanted)
    assert value is not None
    acl = KernelAcl(value)
    assert (acl.default, acl.users) == (wanted.default, wanted.default_users)


def test_a_mode_that_says_it_all_needs_no_acl() -> None:
    assert access_value(0o755, Metadata()) is None
    assert default_value(Metadata()) is None


@pytest.mark.parametrize("value", [b"", b"\2\0\0", b"\3\0\0\0", b"\2\0\0\0" + bytes(7)])
def test_other_values(value: bytes) -> None:
    with pytest.raises(UnknownAcl):
        KernelAcl(value)
