"""The types that parameters are made of. Each text is checked once, here, and is a value of `formats` from then on where there is one.

Source: spec rest-api §4.1, §8.1; limits as in the reference server's own schema.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, Field, PlainValidator, WithJsonSchema

from platevault.config.byte_size import normal_size
from platevault.config.datastores import check_notify, check_tuning, normal_maintenance
from platevault.config.group_filter import normal_filter
from platevault.config.identifiers import check_auth_id, check_user_id
from platevault.errors import Invalid
from platevault.formats import calendar
from platevault.formats.names import MAX_NAMESPACE_DEPTH, Namespace, check_store_name
from platevault.formats.upid import Upid
from platevault.services.roles import ROLES

T = TypeVar("T")

SAFE_ID = r"[A-Za-z0-9_][A-Za-z0-9._\-]*"
# The longest id that still is a file name together with what the store appends to it.
MAX_BACKUP_ID = 255
NO_MATCH = "value does not match the regex pattern"
ONE_LINE = r"[^\x00-\x1f\x7f]*"


def _text(pattern: str, *, shortest: int = 1, longest: int = 4096) -> Any:
    """A validator for text that matches a pattern as a whole; lengths in characters."""
    compiled = re.compile(pattern)

    def check(value: str) -> str:
        if len(value) < shortest:
            raise ValueError(f"value must be at least {shortest} characters long")
        if len(value) > longest:
            raise ValueError(f"value may only be {longest} characters long")
        if not compiled.fullmatch(value):
            raise ValueError(NO_MATCH)
        return value

    return AfterValidator(check)


def _checked(check: Callable[[str], str]) -> Any:
    """A validator for text that stays text; `check` may raise Invalid."""

    def checked(value: str) -> str:
        try:
            return check(value)
        except Invalid as error:
            raise ValueError(error.message) from None

    return AfterValidator(checked)


def _matching(check: Callable[[str], str]) -> Any:
    """The same for text of a form that people know; what is wrong with it is said as the reference server says it."""

    def checked(value: str) -> str:
        try:
            return check(value)
        except Invalid:
            raise ValueError(NO_MATCH) from None

    return AfterValidator(checked)


def _parsed(parse: Callable[[str], T], **schema: Any) -> tuple[Any, Any]:
    """Validators for a text that becomes a value; `parse` may raise Invalid."""

    def check(value: Any) -> T:
        if not isinstance(value, str):
            raise ValueError("Expected string value.")
        try:
            return parse(value)
        except Invalid as error:
            raise ValueError(error.message) from None

    return PlainValidator(check), WithJsonSchema({"type": "string", **schema})


def _one_of(words: Collection[str]) -> Any:
    """A validator for one of many words; a Literal does the same for few."""

    def check(value: str) -> str:
        if value not in words:
            raise ValueError(f"value '{value[:64]}' is not defined in the enumeration.")
        return value

    return AfterValidator(check)


def _event(text: str) -> str:
    calendar.parse(text)
    return text


def _absolute(text: str) -> str:
    if not text.startswith("/") or not text.strip("/") or "/../" in f"{text}/":
        raise Invalid(f"expected an absolute path, '{text[:256]}' is not")
    return text.rstrip("/")


def _namespace_of(text: str) -> Namespace:
    """What is too deep is said; other forms do not match."""
    try:
        return Namespace.parse(text)
    except Invalid as error:
        raise error if text.count("/") >= MAX_NAMESPACE_DEPTH else Invalid(NO_MATCH) from None


_namespace = _parsed(_namespace_of, maxLength=256)

StoreName = Annotated[str, _text(SAFE_ID, shortest=3, longest=32), _checked(check_store_name)]
Ns = Annotated[Namespace, _namespace[0], _namespace[1]]
BackupTypeText = Literal["vm", "ct", "host"]
BackupId = Annotated[str, _text(SAFE_ID, longest=MAX_BACKUP_ID)]
Epoch = Annotated[int, Field(ge=1, le=2**63 - 1)]
FileName = Annotated[str, _text(SAFE_ID, longest=255)]

Id32 = Annotated[str, _text(SAFE_ID, shortest=3, longest=32)]
NameText = Annotated[str, _text(SAFE_ID, shortest=2, longest=32)]
Realm = Annotated[str, _text(SAFE_ID, shortest=2, longest=32)]
UserId = Annotated[str, _matching(check_user_id)]
AuthId = Annotated[str, _matching(check_auth_id)]
TokenName = Annotated[str, _text(SAFE_ID, longest=64)]
NodeName = Annotated[str, _text(r"[A-Za-z0-9](?:[A-Za-z0-9\-]*[A-Za-z0-9])?", longest=64)]
Digest = Annotated[str, _text(r"[a-f0-9]{64}", shortest=64, longest=64)]
# Only the form: which paths there are is checked where an entry is made, so that stale ones can be removed.
AclText = Annotated[str, _text(rf"/|(?:/{SAFE_ID})+/?", longest=128)]
GroupId = Annotated[str, _text(SAFE_ID, shortest=3, longest=64)]
Port = Annotated[int, Field(ge=0, le=65535)]
Line128 = Annotated[str, _text(ONE_LINE, shortest=0, longest=128)]
# Comments are trimmed; what is empty then is no comment, `api.records` leaves it out.
Comment = Annotated[str, _text(ONE_LINE, shortest=0, longest=128), AfterValidator(str.strip)]
PersonText = Annotated[str, _text(ONE_LINE, shortest=2, longest=64)]
NewPassword = Annotated[str, _text(ONE_LINE, shortest=8, longest=64)]
TriedPassword = Annotated[str, Field(min_length=1, max_length=1024)]
UpidText = Annotated[str, _text(ONE_LINE, shortest=36, longest=1024), _checked(lambda text: str(Upid.parse(text)) and text)]
RoleId = Annotated[str, _one_of(ROLES)]

Depth = Annotated[int, Field(ge=0, le=7)]
Natural = Annotated[int, Field(ge=0, le=2**63 - 1)]
Positive = Annotated[int, Field(ge=1, le=2**63 - 1)]
Threads = Annotated[int, Field(ge=1, le=32)]
PlainText = Annotated[str, Field(max_length=65536)]

Integer = Annotated[int, Field(ge=-(2**63), le=2**63 - 1)]
AbsolutePath = Annotated[str, _text(r"[^\x00-\x1f\x7f]*"), _checked(lambda text: _absolute(text))]

CalendarText = Annotated[str, _checked(lambda text: _event(text))]
MaintenanceText = Annotated[str, _checked(normal_maintenance)]
TuningText = Annotated[str, _checked(check_tuning)]
ByteSize = Annotated[str, _checked(normal_size)]
GroupFilter = Annotated[str, _checked(normal_filter)]
NotifyText = Annotated[str, _checked(check_notify)]
