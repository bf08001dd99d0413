"""The access list: roles, evaluation, tokens, ownership (spec rest-api §6)."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from kit.identities import Identities
from platevault.config.acl import AclEntry
from platevault.config.users import Token, User
from platevault.errors import Forbidden
from platevault.formats.names import Namespace
from platevault.services.access import NotOwner, PermissionDenied, datastore_path, is_owner
from platevault.services.permissions import combine, evaluate, index_rules
from platevault.services.roles import NO_ACCESS, PRIVILEGES, ROLES

ALICE, TOKEN, ROOT = "alice@pbs", "alice@pbs!t", "root@pam"
CASES = 10_000


class TestRoles:
    """Names and contents are those of the reference, bit by bit."""

    @pytest.mark.parametrize(
        ("role", "value"),
        [
            ("Admin", 0x7FFFFF),
            ("Audit", 0x9),
            ("NoAccess", 0x0),
            ("DatastoreAdmin", 0x3E8),
            ("DatastoreReader", 0xC8),
            ("DatastoreBackup", 0x100),
            ("DatastorePowerUser", 0x300),
            ("DatastoreAudit", 0x8),
            ("RemoteAudit", 0x800),
            ("RemoteAdmin", 0x3800),
            ("RemoteSyncOperator", 0x2800),
            ("RemoteSyncPushOperator", 0x4800),
            ("RemoteDatastorePowerUser", 0x14800),
            ("RemoteDatastoreAdmin", 0x1C800),
            ("TapeAudit", 0x40000),
            ("TapeAdmin", 0x3C0000),
            ("TapeOperator", 0x340000),
            ("TapeReader", 0x240000),
        ],
    )
    def test_values(self, role: str, value: int) -> None:
        assert sum(1 << PRIVILEGES.index(name) for name in ROLES[role]) == value

    def test_there_are_no_others(self) -> None:
        assert (len(ROLES), len(PRIVILEGES), len(set(PRIVILEGES))) == (18, 23, 23)


def flags(entries: Sequence[tuple[str, str, bool]], path: str, auth_id: str = ALICE) -> dict[str, bool]:
    """Evaluate entries of (path, role, propagate)."""
    return evaluate(index_rules(AclEntry(where, auth_id, role, propagate) for where, role, propagate in entries), ALICE, path)


def names(entries: Sequence[tuple[str, str, bool]], path: str) -> str:
    """Short names of the datastore privileges."""
    return " ".join(sorted(name.rpartition(".")[2] for name in flags(entries, path)))


class TestEvaluation:
    """By hand, rule by rule."""

    @pytest.mark.parametrize(
        ("path", "expected"),
        [("/", ""), ("/datastore", ""), ("/datastore/a", "Backup"), ("/datastore/a/ns", "Backup"), ("/datastore/ab", ""), ("/system", "")],
    )
    def test_a_role_counts_below_its_path(self, path: str, expected: str) -> None:
        assert names([("/datastore/a", "DatastoreBackup", True)], path) == expected

    @pytest.mark.parametrize(("path", "expected"), [("/datastore/a", "Backup"), ("/datastore/a/ns", ""), ("/datastore", "")])
    def test_without_propagation_only_there(self, path: str, expected: str) -> None:
        assert names([("/datastore/a", "DatastoreBackup", False)], path) == expected

    def test_the_deeper_entry_replaces_the_one_above(self) -> None:
        entries = [("/datastore", "DatastoreReader", True), ("/datastore/a", "DatastoreBackup", True)]
        assert names(entries, "/datastore/b") == "Audit Read Verify"
        assert names(entries, "/datastore/a") == names(entries, "/datastore/a/ns") == "Backup"

    def test_one_that_does_not_propagate_replaces_nothing_below(self) -> None:
        entries = [("/datastore", "DatastoreReader", True), ("/datastore/a", "DatastoreBackup", False)]
        assert names(entries, "/datastore/a") == "Backup"
        assert names(entries, "/datastore/a/ns") == "Audit Read Verify"

    def test_roles_of_one_node_are_united(self) -> None:
        entries = [("/datastore/a", "DatastoreAudit", False), ("/datastore/a", "DatastoreBackup", True)]
        assert flags(entries, "/datastore/a") == {"Datastore.Audit": False, "Datastore.Backup": True}
        assert flags(entries, "/datastore/a/ns") == {"Datastore.Backup": True}

    def test_no_access_empties(self) -> None:
        here = [("/datastore/a", NO_ACCESS, True), ("/datastore/a", "Admin", True)]
        entries = [("/", "Admin", True), *here, ("/datastore/a/b/c", "DatastoreAudit", True)]
        assert len(flags(entries, "/datastore/b")) == 23
        assert names(entries, "/datastore/a") == names(entries, "/datastore/a/b") == ""
        assert names(entries, "/datastore/a/b/c") == "Audit"

    def test_no_access_that_does_not_propagate(self) -> None:
        entries = [("/", "Admin", True), ("/datastore/a", NO_ACCESS, False)]
        assert names(entries, "/datastore/a") == ""
        assert len(flags(entries, "/datastore/a/b")) == 23

    def test_entries_of_others_do_not_count(self) -> None:
        assert flags([("/", "Admin", True)], "/", auth_id="bob@pbs") == {}
        assert flags([("/", "Admin", True)], "/", auth_id="alice@pbs!t") == {}

    def test_paths_are_compared_by_components(self) -> None:
        assert names([("//datastore/a/", "DatastoreBackup", True)], "/datastore//a/") == "Backup"
        assert names([("/", "DatastoreBackup", True)], "") == "Backup"

    def test_a_role_that_nobody_knows_gives_nothing(self) -> None:
        assert flags([("/", "Emperor", True)], "/") == {}

    def test_tokens_get_the_smaller_of_both(self) -> None:
        assert combine({"a": True, "b": True, "c": False}, {"b": False, "c": True, "d": True}) == {"b": False, "c": False}


def second_opinion(entries: Sequence[AclEntry], auth_id: str, path: str) -> dict[str, bool]:
    """The same rules told the other way round: from the path upwards, the first node that says anything decides."""
    node = [part for part in path.split("/") if part]
    here = True
    while True:
        place = "/" + "/".join(node)
        spoken = [entry for entry in entries if entry.auth_id == auth_id and entry.path == place and (entry.propagate or here)]
        if any(entry.role == "NoAccess" for entry in spoken):
            return {}
        if spoken:
            return {
                name: any(entry.propagate for entry in spoken if name in ROLES[entry.role])
                for name in PRIVILEGES
                if any(name in ROLES[entry.role] for entry in spoken)
            }
        if not node:
            return {}
        node.pop()
        here = False


def test_random_lists_agree_with_a_second_evaluator() -> None:
    dice = random.Random(20260601)
    parts = ["datastore", "a", "b"]
    paths = ["/", *("/" + "/".join(dice.choices(parts, k=dice.randint(1, 5))) for _ in range(60))]
    differing = 0
    for _ in range(CASES):
        entries = {
            (path, who, role): AclEntry(path, who, role, dice.random() < 0.6)
            for path, who, role in (
                (dice.choice(paths), dice.choice([ALICE, TOKEN, "bob@pbs"]), dice.choice(list(ROLES))) for _ in range(dice.randint(0, 12))
            )
        }
        path, who = dice.choice(paths), dice.choice([ALICE, TOKEN])
        listed = list(entries.values())
        found = evaluate(index_rules(listed), who, path)
        assert found == second_opinion(listed, who, path), (listed, who, path)
        differing += bool(found)
    assert differing > CASES // 10


@pytest.fixture
def identities(tmp_path: Path) -> Iterator[Identities]:
    identities = Identities(tmp_path)
    identities.user(ALICE)
    identities.token(TOKEN)
    yield identities
    identities.close()


def grant(identities: Identities, path: str, auth_id: str, role: str, *, propagate: bool = True) -> None:
    identities.acl.grant(AclEntry(path, auth_id, role, propagate))


class TestAccess:
    """Privileges of users and tokens that exist, or do not."""

    def test_the_superuser_may_everything_and_its_tokens_what_they_are_given(self, identities: Identities) -> None:
        identities.token("root@pam!t")
        assert identities.access.privileges(ROOT, "/nowhere/at/all") == set(PRIVILEGES)
        assert identities.access.privileges("root@pam!t", "/") == frozenset()
        grant(identities, "/datastore/a", "root@pam!t", "DatastoreBackup")
        assert identities.access.privileges("root@pam!t", "/datastore/a/ns") == {"Datastore.Backup"}

    def test_a_token_may_never_more_than_its_user(self, identities: Identities) -> None:
        grant(identities, "/datastore/a", TOKEN, "Admin")
        assert identities.access.privileges(TOKEN, "/datastore/a") == frozenset()
        grant(identities, "/datastore", ALICE, "DatastoreReader")
        assert identities.access.privileges(TOKEN, "/datastore/a") == ROLES["DatastoreReader"]
        assert identities.access.privileges(TOKEN, "/datastore/b") == frozenset()
        grant(identities, "/datastore/a", ALICE, NO_ACCESS)
        assert identities.access.privileges(TOKEN, "/datastore/a") == frozenset()

    def test_the_propagation_of_both_counts(self, identities: Identities) -> None:
        grant(identities, "/datastore/a", TOKEN, "DatastoreBackup")
        grant(identities, "/datastore/a", ALICE, "DatastoreBackup", propagate=False)
        assert identities.access.flagged(TOKEN, "/datastore/a") == {"Datastore.Backup": False}
        assert identities.access.flagged(TOKEN, "/datastore/a/ns") == {}

    @pytest.mark.parametrize("user", [User(ALICE, enable=False), User(ALICE, expire=5)])
    def test_nobody_may_anything(self, identities: Identities, user: User) -> None:
        for who in (ALICE, TOKEN):
            grant(identities, "/", who, "Admin")
            assert identities.access.privileges(who, "/") == set(PRIVILEGES)
        identities.users.update(user)
        for who in (ALICE, TOKEN, "nobody@pbs", "nobody@pbs!t"):
            assert identities.access.privileges(who, "/") == frozenset()
            assert not identities.access.is_active(who)

    def test_a_disabled_token(self, identities: Identities) -> None:
        for who in (ALICE, TOKEN):
            grant(identities, "/", who, "Admin")
        identities.tokens.update(Token(TOKEN, enable=False))
        assert identities.access.privileges(TOKEN, "/") == frozenset()
        assert identities.access.privileges(ALICE, "/") == set(PRIVILEGES)
        assert (identities.access.exists(TOKEN), identities.access.exists("alice@pbs!other")) == (True, False)

    def test_changes_count_at_once(self, identities: Identities) -> None:
        for role in ("DatastoreBackup", NO_ACCESS, "DatastoreAudit"):
            grant(identities, "/datastore/a", ALICE, role)
            assert identities.access.privileges(ALICE, "/datastore/a") >= ROLES[role]
        identities.acl.revoke("/datastore/a", ALICE, "DatastoreAudit")
        assert identities.access.privileges(ALICE, "/datastore/a") == frozenset()

    def test_checks(self, identities: Identities) -> None:
        grant(identities, "/datastore/a", ALICE, "DatastoreReader")
        access = identities.access
        access.check_any(ALICE, "/datastore/a", ["Datastore.Modify", "Datastore.Read"])
        access.check_all(ALICE, "/datastore/a", ["Datastore.Audit", "Datastore.Read"])
        with pytest.raises(PermissionDenied, match=r"missing Datastore\.Modify\|Datastore\.Prune on /datastore/a"):
            access.check_any(ALICE, "/datastore/a", ["Datastore.Modify", "Datastore.Prune"])
        with pytest.raises(PermissionDenied, match=r"missing Datastore\.Read&Datastore\.Prune"):
            access.check_all(ALICE, "/datastore/a", ["Datastore.Read", "Datastore.Prune"])
        access.check_all(ALICE, "/datastore/a", [])
        with pytest.raises(PermissionDenied):
            access.check_any(ALICE, "/datastore/a", [])

    def test_any_privilege_below(self, identities: Identities) -> None:
        grant(identities, "/datastore/a/ns/deep", ALICE, "DatastoreBackup")
        grant(identities, "/datastore/b", "bob@pbs", "DatastoreBackup")
        below = identities.access.has_any_below
        assert [below(ALICE, path) for path in ("/datastore", "/datastore/a", "/datastore/a/ns", "/datastore/a/ns/deep/er")] == [True] * 4
        assert [below(ALICE, path) for path in ("/datastore/b", "/datastore/aa", "/system")] == [False] * 3
        assert not below(ALICE, "/datastore/a", ["Datastore.Audit"])

    def test_below_a_path_without_access(self, identities: Identities) -> None:
        grant(identities, "/datastore", ALICE, "DatastoreBackup")
        grant(identities, "/datastore/a", ALICE, NO_ACCESS)
        assert not identities.access.has_any_below(ALICE, "/datastore/a")
        assert identities.access.has_any_below(ALICE, "/datastore")

    def test_lists(self, identities: Identities) -> None:
        grant(identities, "/datastore/a/ns", ALICE, "DatastoreBackup")
        assert identities.access.listing(ALICE) == {"/datastore/a/ns": {"Datastore.Backup": True}}
        assert identities.access.listing(ALICE, "/datastore/a/ns/x") == {"/datastore/a/ns/x": {"Datastore.Backup": True}}
        assert identities.access.listing(ALICE, "/datastore/a") == {}
        everything = identities.access.listing(ROOT)
        assert sorted(everything) == ["/", "/access", "/datastore", "/datastore/a", "/datastore/a/ns", "/remote", "/system"]
        assert all(set(found) == set(PRIVILEGES) for found in everything.values())


@pytest.mark.parametrize(
    ("owner", "auth_id", "owns"),
    [
        (ALICE, ALICE, True),
        (TOKEN, ALICE, True),
        (TOKEN, TOKEN, True),
        (ALICE, TOKEN, False),
        (TOKEN, "alice@pbs!other", False),
        ("bob@pbs", ALICE, False),
        ("bob@pbs!t", ALICE, False),
        ("alice@pbs2", ALICE, False),
        ("root@pam", ALICE, False),
        (ALICE, "root@pam", False),
    ],
)
def test_owners(identities: Identities, owner: str, auth_id: str, owns: bool) -> None:
    assert is_owner(owner, auth_id) == owns
    if owns:
        identities.access.check_owner(owner, auth_id)
    else:
        with pytest.raises(NotOwner) as caught:
            identities.access.check_owner(owner, auth_id)
        assert isinstance(caught.value, Forbidden)
        assert str(caught.value) == f"backup owner check failed ({auth_id} != {owner})"


def test_paths_of_datastores() -> None:
    assert datastore_path("a") == "/datastore/a"
    assert datastore_path("a", Namespace()) == "/datastore/a"
    assert datastore_path("a", Namespace.parse("x/y")) == "/datastore/a/x/y"
