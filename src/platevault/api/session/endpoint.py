"""What a request inside a session is, and the bodies that it may bring.

Source: spec wire-protocol §2.9. Query endpoints take their parameters from the query and look at no body. Parameter endpoints take
them from query, form or JSON. Uploads take them from the query, and their body is data.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO, Generic, Protocol, TypeVar

from platevault.api.parameters import NoParams, Params
from platevault.services.tasks import Task

S = TypeVar("S", bound="Session")


class Session(Protocol):
    """What both kinds of session have."""

    @property
    def task(self) -> Task: ...

    def end(self, trouble: str | None) -> None:
        """Called once, when the connection is over."""
        ...


class Receiver(Protocol):
    """Takes the body of an upload; errors are raised. After `finish` or an error nothing more is called."""

    def feed(self, piece: memoryview) -> None:
        """Take a piece, valid during the call only."""

    def finish(self) -> Any:
        """The body is complete; returns the value for `data`."""

    def abort(self) -> None:
        """The body will never be complete."""


@dataclass(frozen=True, slots=True)
class FileReply:
    """An answer that is the content of an open file. with_length: announce its length."""

    file: BinaryIO
    with_length: bool = False


@dataclass(frozen=True, slots=True)
class BytesReply:
    """An answer that is bytes."""

    content: bytes


@dataclass(frozen=True, slots=True)
class Query(Generic[S]):
    """A request without body. is_frequent: comes thousands of times a session, so that debug logs leave it out."""

    answer: Callable[[S, Any], Any]
    params: type[Params] = NoParams
    is_frequent: bool = False


@dataclass(frozen=True, slots=True)
class Command(Generic[S]):
    """A request whose body, if it has one, holds parameters."""

    answer: Callable[[S, Any], Any]
    params: type[Params] = NoParams
    is_frequent: bool = False


@dataclass(frozen=True, slots=True)
class Sending(Generic[S]):
    """A request whose body is data."""

    receive: Callable[[S, Any], Receiver]
    params: type[Params] = NoParams
    is_frequent: bool = False


Endpoint = Query[S] | Command[S] | Sending[S]
Table = dict[tuple[str, str], Endpoint[S]]
