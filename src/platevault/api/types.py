"""The types that parameters are made of. Each text is checked once, here, and is a value of `formats` from then on where there is one.

Source: spec rest-api §4.1, §8.1; limits as in the reference server's own schema.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, Field, PlainValidator, WithJsonSchema

from platevault.config.acl import check_path
from platevault.config.identifiers import check_auth_id, check_user_id
from platevault.errors import Invalid
from platevault.formats import calendar
from platevault.formats.names import Namespace, check_store_name

T = TypeVar("T")

SAFE_ID = r"[A-Za-z0-9_][A-Za-z0-9._\-]*"
# The longest id that still is a file name together with what the store appends to it.
MAX_BACKUP_ID = 255


def _text(pattern: str, *, shortest: int = 1, longest: int = 4096) -> Any:
    """A validator for text that matches a pattern as a whole; lengths in characters."""
    compiled = re.compile(pattern)

    def check(value: str) -> str:
        if not shortest <= len(value) <= longest:
            raise ValueError(f"value must have {shortest} to {longest} characters")
        if not compiled.fullmatch(value):
            raise ValueError("value does not match the regex pattern")
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


def _event(text: str) -> str:
    calendar.parse(text)
    return text


_namespace = _parsed(Namespace.parse, maxLength=256)

StoreName = Annotated[str, _checked(check_store_name)]
Ns = Annotated[Namespace, _namespace[0], _namespace[1]]
BackupTypeText = Literal["vm", "ct", "host"]
BackupId = Annotated[str, _text(SAFE_ID, longest=MAX_BACKUP_ID)]
Epoch = Annotated[int, Field(ge=1, le=2**63 - 1)]
FileName = Annotated[str, _text(SAFE_ID, longest=255)]

Id32 = Annotated[str, _text(SAFE_ID, shortest=3, longest=32)]
NameText = Annotated[str, _text(SAFE_ID, shortest=2, longest=32)]
Realm = Annotated[str, _text(SAFE_ID, shortest=2, longest=32)]
UserId = Annotated[str, _checked(check_user_id)]
AuthId = Annotated[str, _checked(check_auth_id)]
TokenName = Annotated[str, _text(SAFE_ID, longest=64)]
NodeName = Annotated[str, _text(r"[A-Za-z0-9](?:[A-Za-z0-9\-]*[A-Za-z0-9])?", longest=64)]
Digest = Annotated[str, _text(r"[a-f0-9]{64}", shortest=64, longest=64)]
AclPath = Annotated[str, _checked(check_path)]
Line128 = Annotated[str, _text(r"[^\x00-\x1f\x7f]*", shortest=0, longest=128)]
Upid = Annotated[str, _text(r"[^\x00-\x1f\x7f]+", shortest=36, longest=1024)]

Depth = Annotated[int, Field(ge=0, le=7)]
Natural = Annotated[int, Field(ge=0, le=2**63 - 1)]
Positive = Annotated[int, Field(ge=1, le=2**63 - 1)]
Threads = Annotated[int, Field(ge=1, le=32)]
PlainText = Annotated[str, Field(max_length=65536)]

CalendarText = Annotated[str, _checked(lambda text: _event(text))]
