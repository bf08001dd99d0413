"""Sections: typed records with a digest by which two administrators do not overwrite each other."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from platevault.config.database import Database, open_database
from platevault.config.sections import EntryExists, GenericEntry, NoSuchEntry, Section, StaleDigest, generic_section
from platevault.config.users import Token, Tokens, User, Users


@dataclass(frozen=True)
class Thing:
    """A record."""

    name: str
    size: int | None = None
    flag: bool | None = None
    words: list[str] | None = None

    @property
    def key(self) -> str:
        return self.name


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'state.db'}"


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    database = open_database(url)
    yield database
    database.close()


def things(database: Database) -> Section[Thing]:
    return Section(database, "thing", Thing, label="thing")


@pytest.fixture
def section(database: Database) -> Section[Thing]:
    return things(database)


A, B = Thing("a", 1, words=["x", "ä"]), Thing("b", flag=False)


class TestRecords:
    """Inserted, changed, removed."""

    def test_they_come_back(self, section: Section[Thing]) -> None:
        section.insert(B)
        section.insert(A)
        assert section.all() == [A, B]
        assert (section.get("a"), section.find("b"), section.find("c")) == (A, B, None)

    def test_an_id_is_used_once(self, section: Section[Thing]) -> None:
        section.insert(A)
        with pytest.raises(EntryExists, match="thing 'a' already exists"):
            section.insert(replace(A, size=2))
        assert section.get("a") == A

    def test_what_is_not_there(self, section: Section[Thing]) -> None:
        for act in (lambda: section.get("a"), lambda: section.update(A), lambda: section.delete("a")):
            with pytest.raises(NoSuchEntry, match="no such thing 'a'"):
                act()

    def test_changes(self, section: Section[Thing]) -> None:
        section.insert(A)
        section.update(Thing("a", 2))
        assert section.get("a") == Thing("a", 2)
        section.put(Thing("a", 3))
        section.put(B)
        assert section.all() == [Thing("a", 3), B]
        section.put(Thing("c"), instead_of=lambda other: other.size == 3)
        assert section.all() == [B, Thing("c")]
        section.delete("b")
        section.delete_where(lambda other: other.name == "c")
        section.delete_where(lambda other: True)
        assert section.all() == []

    def test_sections_do_not_see_each_other(self, database: Database, section: Section[Thing]) -> None:
        other = Section(database, "other", Thing, label="thing")
        section.insert(A)
        other.insert(A)
        section.delete("a")
        assert (section.all(), other.all()) == ([], [A])

    def test_untyped_ones(self, database: Database) -> None:
        generic = generic_section(database, "realm", label="realm")
        generic.insert(GenericEntry("x", {"server1": "host", "port": 389}))
        assert generic.get("x").fields == {"server1": "host", "port": 389}

    def test_processes_see_each_others_changes(self, database: Database, section: Section[Thing], url: str) -> None:
        other_database = open_database(url)
        other = things(other_database)
        assert other.all() == []
        section.insert(A)
        assert other.all() == [A]
        other.delete("a")
        assert section.all() == []
        other_database.close()


class TestDigests:
    """Changes on the ground of an old state are refused."""

    @pytest.mark.parametrize(
        "change",
        [
            lambda section, digest: section.insert(Thing("new"), digest=digest),
            lambda section, digest: section.update(Thing("a", 9), digest=digest),
            lambda section, digest: section.put(Thing("new"), digest=digest),
            lambda section, digest: section.delete("a", digest=digest),
        ],
        ids=["insert", "update", "put", "delete"],
    )
    def test_each_kind_of_change(self, section: Section[Thing], change: Callable[[Section[Thing], str], None]) -> None:
        section.insert(A)
        old = section.digest()
        section.insert(B)
        with pytest.raises(StaleDigest, match="detected modified configuration"):
            change(section, old)
        assert section.all() == [A, B]
        change(section, section.digest())
        assert section.all() != [A, B]

    def test_the_same_records_have_the_same_digest(self, section: Section[Thing]) -> None:
        empty = section.digest()
        assert len(empty) == 64
        seen = {empty}
        for record in (B, A, replace(A, size=2), replace(A, size=2, flag=False)):
            section.put(record)
            assert section.digest() not in seen
            seen.add(section.digest())
        section.delete("a")
        section.delete("b")
        assert section.digest() == empty

    def test_ids_and_bodies_cannot_be_mixed_up(self, database: Database) -> None:
        digests = set()
        for number, names in enumerate([["ab"], ["a", "b"], ["a"], ["b"], ["a", "ab"]]):
            section = Section(database, f"s{number}", Thing, label="thing")
            for name in names:
                section.insert(Thing(name))
            digests.add(section.digest())
        assert len(digests) == 5

    def test_users_and_tokens_share_one(self, database: Database) -> None:
        users, tokens = Users(database), Tokens(database)
        assert users.digest() == tokens.digest()
        old = users.digest()
        tokens.insert(Token("root@pam!t"))
        assert users.digest() == tokens.digest() != old
        with pytest.raises(StaleDigest):
            users.insert(User("a@pbs"), digest=old)

    def test_of_two_at_once_one_wins(self, section: Section[Thing]) -> None:
        section.insert(A)
        digest = section.digest()
        outcomes: list[str] = []
        barrier = threading.Barrier(4)

        def change(number: int) -> None:
            barrier.wait(30)
            try:
                section.update(Thing("a", number), digest=digest)
                outcomes.append("won")
            except StaleDigest:
                outcomes.append("refused")

        threads = [threading.Thread(target=change, args=(number,)) for number in range(2, 6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert sorted(outcomes) == ["refused"] * 3 + ["won"]


class TestUsers:
    """Users and tokens."""

    def test_the_superuser_always_exists(self, database: Database) -> None:
        assert Users(database).get("root@pam").is_active(0)
        Users(database).delete("root@pam")
        assert Users(database).find("root@pam") is not None

    def test_tokens_of_a_user(self, database: Database) -> None:
        tokens = Tokens(database)
        for tokenid in ("a@pbs!x", "a@pbs!y", "b@pbs!x", "a@pbs2!x"):
            tokens.insert(Token(tokenid))
        assert [token.name for token in tokens.of("a@pbs")] == ["x", "y"]
        assert {token.user for token in tokens.of("a@pbs")} == {"a@pbs"}

    @pytest.mark.parametrize(
        ("enable", "expire", "active"),
        [(None, None, True), (True, 0, True), (False, None, False), (None, 1000, False), (True, 999, False), (True, 1001, True)],
    )
    def test_who_is_active(self, enable: bool | None, expire: int | None, active: bool) -> None:
        assert User("a@pbs", enable=enable, expire=expire).is_active(1000) == active
        assert Token("a@pbs!t", enable=enable, expire=expire).is_active(1000) == active
