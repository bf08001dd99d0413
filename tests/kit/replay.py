"""Plays a recorded REST request against a site, and says how the answer differs from the recorded one.

What must be equal: the status, the text of an error up to paths, and of a success the shape: the keys of all objects and the types of
all values. Lists are compared by the shapes that occur in them.
"""

from __future__ import annotations

import base64
import json
import re
from typing import Any
from urllib.parse import quote, unquote

from kit.asgi import Answer
from kit.recorded_site import Record, secrets
from kit.site import Site

_TICKET = re.compile(r"PBS(?P<colon>:|%3A)(?P<user>[^:%@ ]+)(?:@|%40)(?P<realm>\w+)(?:%3A|:)(?P<time>[0-9A-F]{8})(?:%3A|:){2}@SIGNATURE@")
_PATH = re.compile(r"/[^\s'\"]*/(fix-store|wire-store|wire)\b")


class Player:
    """Plays the requests of a recording in order; tasks are waited for, and the recorded UPIDs stand for ours from then on."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._upids: dict[str, str] = {}

    def play(self, record: Record) -> Answer:
        """The site's answer to a recorded request."""
        path = record["path"]
        for known, ours in self._upids.items():
            path = path.replace(quote(known, safe=""), quote(ours, safe=""))
        answer = _play(self._site, record, path)
        theirs = _upid_in((record["response-body"] or {}).get("text", ""))
        made = _upid_in(answer.text) if theirs else None
        if theirs and made:
            self._site.ended(made)
            self._upids[theirs] = made
        return answer


def _upid_in(text: str) -> str | None:
    """The UPID of an answer that is one."""
    try:
        data = json.loads(text).get("data")
    except (ValueError, AttributeError):
        return None
    return data if isinstance(data, str) and data.startswith("UPID:") else None


def _play(site: Site, record: Record, path: str) -> Answer:
    headers = dict(record["request-headers"])
    if record["as"] is not None:
        headers |= _credentials(site, record["as"])
    headers = {name: _unmasked(site, value) for name, value in headers.items()}
    csrf = headers.get("CSRFPreventionToken")
    if csrf is not None and "@CSRF@" in csrf:
        headers["CSRFPreventionToken"] = site.services.auth.new_login("alice@pbs").csrf_token
    body = _unmasked_body(site, record)
    if record["request-body"] and "len" in record["request-body"]:
        headers["content-length"] = str(record["request-body"]["len"])
    return site.send(record["method"], path, headers, body)


def _credentials(site: Site, auth_id: str) -> dict[str, str]:
    if auth_id in secrets()["tokens"]:
        return {"authorization": f"PBSAPIToken={auth_id}:{secrets()['tokens'][auth_id]}"}
    return dict(site.session(auth_id).headers)


def _unmasked_body(site: Site, record: Record) -> bytes:
    body = record["request-body"] or {}
    if "text" in body:
        return _unmasked(site, body["text"]).encode()
    if "base64" in body:
        return base64.b64decode(body["base64"])
    return b"x" * int(body.get("len", 0))


def _unmasked(site: Site, text: str) -> str:
    """The text with a ticket of ours where one was masked, and with the token secrets."""

    def ticket(found: re.Match[str]) -> str:
        made = site.services.auth.signer.ticket(f"{found['user']}@{found['realm']}", int(found["time"], 16))
        return quote(made, safe="") if found["colon"] == "%3A" else made

    text = _TICKET.sub(ticket, text)
    for tokenid, secret in secrets()["tokens"].items():
        name = re.sub(r"@\w+!", "-", tokenid).upper()
        text = text.replace(f"@SECRET-{name}@", secret)
    return text


def difference(record: Record, answer: Answer) -> str | None:
    """What is wrong with the answer, in one line; None when it is as recorded."""
    if answer.status != record["status"]:
        return f"status {answer.status} instead of {record['status']}: {answer.body[:200]!r}"
    recorded = record["response-body"] or {}
    if "text" not in recorded:
        return _other_bytes(recorded, answer)
    text = recorded["text"]
    if text[:1] != "{" or answer.status >= 400:
        ours, theirs = _normal(answer.text), _normal(text)
        return None if ours == theirs or not text else f"text {ours[:300]!r} instead of {theirs[:300]!r}"
    return _other_shape(json.loads(text), json.loads(answer.body), "")


def _normal(text: str) -> str:
    """Without paths; the lines behind the first in order, as parameter errors have none."""
    first, *others = _PATH.sub("STORE", text).split("\n")
    return "\n".join([first, *sorted(others)])


def _other_bytes(recorded: Record, answer: Answer) -> str | None:
    if "base64" in recorded and answer.headers.get("content-encoding") is None and answer.body != base64.b64decode(recorded["base64"]):
        return f"other bytes: {answer.body[:80]!r}"
    return None


def _other_shape(theirs: Any, ours: Any, where: str) -> str | None:
    if isinstance(theirs, dict) and isinstance(ours, dict):
        if theirs.keys() != ours.keys():
            return f"{where or 'answer'}: keys {sorted(ours)} instead of {sorted(theirs)}"
        found = (_other_shape(theirs[key], ours[key], f"{where}.{key}") for key in theirs)
        return next((text for text in found if text), None)
    if isinstance(theirs, list) and isinstance(ours, list):
        shapes, wanted = {_shape(item) for item in ours}, {_shape(item) for item in theirs}
        return None if shapes == wanted else f"{where}: items {sorted(shapes - wanted)} instead of {sorted(wanted - shapes)}"
    if isinstance(theirs, str) and isinstance(ours, str) and where in (".message",):
        same = _PATH.sub("STORE", theirs) == _PATH.sub("STORE", ours)
        return None if same else f"message {ours!r} instead of {theirs!r}"
    return None if _shape(theirs) == _shape(ours) else f"{where}: {ours!r} instead of {theirs!r}"


def _shape(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{_shape(item)}" for key, item in sorted(value.items())) + "}"
    if isinstance(value, list):
        return "[" + "|".join(sorted({_shape(item) for item in value})) + "]"
    return type(value).__name__


def place(record: Record) -> str:
    """Method and decoded path without the format and the query, for messages."""
    return f"{record['method']} {unquote(record['path'].partition('?')[0])}"
