"""Between configuration records and the API (spec rest-api §2.5)."""

from __future__ import annotations

from typing import Any, Literal

from platevault.api import records
from platevault.api.parameters import Params, check
from platevault.api.types import Comment, Natural, Ns
from platevault.config.jobs import PruneJob

JOB = PruneJob("j1x", "s1x", "daily", comment="old", keep_last=3, ns="a", disable=True)


class Update(Params):
    id: str
    comment: Comment | None = None
    disable: bool | None = None
    ns: Ns | None = None
    keep_last: Natural | None = None
    schedule: str | None = None
    delete: list[Literal["comment", "keep-last"]] | None = None


def changed(delete: list[str] | None = None, **values: Any) -> PruneJob:
    p = check(Update, {"id": "j1x", **{name.replace("_", "-"): value for name, value in values.items()}})
    return records.updated(JOB, p, delete=delete, defaults={"disable": False})


def test_what_is_set_is_shown_in_dash_case() -> None:
    assert records.shown(JOB) == {
        "id": "j1x",
        "store": "s1x",
        "schedule": "daily",
        "comment": "old",
        "keep-last": 3,
        "ns": "a",
        "disable": True,
    }


def test_what_is_not_given_stays() -> None:
    assert changed() == JOB
    assert changed(schedule="weekly") == records.with_fields(JOB, schedule="weekly")


def test_delete_comes_before_the_new_values() -> None:
    assert changed(["comment", "keep-last"], comment="new") == records.with_fields(JOB, comment="new", keep_last=None)


def test_an_empty_text_and_the_root_namespace_are_no_value() -> None:
    assert changed(comment="  ", ns="") == records.with_fields(JOB, comment=None, ns=None)


def test_comments_are_trimmed() -> None:
    assert changed(comment=" x ").comment == "x"


def test_a_default_is_stored_as_absent() -> None:
    assert changed(disable=False).disable is None
    assert changed(disable=True).disable is True
