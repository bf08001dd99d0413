"""Between configuration records and the API: what is shown of one, and what a change makes of one.

Source: spec rest-api §2.5. An update leaves alone what is not given, applies `delete` before the new values, and stores a value that
equals its default as absent. An empty text, an empty list and the root namespace are no value.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

from platevault.api.parameters import Params
from platevault.config.sections import Record
from platevault.formats.names import Namespace

R = TypeVar("R", bound=Record)


def shown(entry: Record) -> dict[str, Any]:
    """The fields that are set, by their names in the API."""
    fields = {name: getattr(entry, name) for name in entry.__dataclass_fields__}
    return {name.replace("_", "-"): value for name, value in fields.items() if value is not None}


def given(p: Params, kind: type[R], defaults: Mapping[str, object] | None = None) -> dict[str, Any]:
    """The parameters of a request that are fields of the record, as they are stored. defaults: values that are stored as absent."""
    names = [name for name in kind.__dataclass_fields__ if name in p.model_fields_set]
    values = {name: _stored(getattr(p, name)) for name in names}
    return values | {name: None for name, value in (defaults or {}).items() if name in values and values[name] == value}


def updated(entry: R, p: Params, *, delete: list[Any] | None = None, defaults: Mapping[str, object] | None = None) -> R:
    """The record after an update. delete: API names of fields to unset. defaults: values that are stored as absent, by field."""
    unset = dict.fromkeys(name.replace("-", "_") for name in delete or ())
    values = given(p, type(entry), defaults)
    return dataclasses.replace(entry, **{**unset, **values})


def with_fields(entry: R, **values: Any) -> R:
    """The record with other values in some fields."""
    return dataclasses.replace(entry, **values)


def _stored(value: Any) -> Any:
    if isinstance(value, Namespace):
        return str(value) or None
    return None if value in ("", []) else value
