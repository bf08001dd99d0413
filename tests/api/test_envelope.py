"""The JSON and ExtJS forms of answers (spec rest-api §3)."""

from __future__ import annotations

import json
import zlib
from typing import Any

import pytest

from platevault.api import envelope
from platevault.api.envelope import JSON_TYPE, Answer
from platevault.api.route import Encoded, Output, RawReply, Reply


def content(answer: Answer) -> Any:
    assert isinstance(answer.body, bytes)
    return json.loads(answer.body)


def test_success_without_result_has_the_key() -> None:
    answer = envelope.success(None, Output.JSON)
    assert (answer.status, answer.body, answer.content_type) == (200, b'{"data":null}', JSON_TYPE)


def test_extra_keys_stand_beside_data() -> None:
    reply = Reply([1], digest="d", total=3, extra={"active": True})
    assert content(envelope.success(reply, Output.JSON)) == {"data": [1], "digest": "d", "total": 3, "active": True}
    assert content(envelope.success(reply, Output.EXTJS)) == {
        "data": [1],
        "digest": "d",
        "total": 3,
        "active": True,
        "success": True,
        "status": 200,
    }


def test_a_total_of_none_is_shown_as_zero_only_when_it_is_zero() -> None:
    assert content(envelope.success(Reply([], total=0), Output.JSON)) == {"data": [], "total": 0}
    assert content(envelope.success(Reply([]), Output.JSON)) == {"data": []}


def test_what_is_json_already_goes_out_as_it_is() -> None:
    assert envelope.success(Encoded(b'[{"a":1}]'), Output.JSON).body == b'{"data":[{"a":1}]}'
    assert content(envelope.success(Reply(Encoded(b"[1]"), total=1), Output.EXTJS)) == {
        "data": [1],
        "total": 1,
        "success": True,
        "status": 200,
    }


def test_a_raw_reply_is_left_alone() -> None:
    answer = envelope.success(RawReply(b"x", "text/plain", headers=(("a", "b"),)), Output.EXTJS)
    assert (answer.status, answer.body, answer.content_type, answer.headers) == (200, b"x", "text/plain", (("a", "b"),))


def test_a_json_error_is_plain_text() -> None:
    answer = envelope.failure(400, "no such datastore 'x'", Output.JSON)
    assert (answer.status, answer.body, answer.content_type, answer.delay_s) == (400, b"no such datastore 'x'", JSON_TYPE, 0.0)


def test_an_extjs_error_is_a_success_on_the_outside() -> None:
    answer = envelope.failure(404, "gone", Output.EXTJS)
    assert answer.status == 200
    assert content(answer) == {"message": "gone", "errors": {}, "success": False, "status": 404}


def test_wrong_parameters_in_extjs_form() -> None:
    found = content(envelope.failure(400, "long text", Output.EXTJS, {"id": "missing"}))
    assert found == {"message": "parameter verification errors", "errors": {"id": "missing"}, "success": False, "status": 400}


@pytest.mark.parametrize("output", list(Output))
def test_a_401_is_answered_late(output: Output) -> None:
    assert envelope.failure(401, "no", output).delay_s == envelope.AUTHENTICATION_DELAY_S
    assert envelope.not_authenticated().delay_s == envelope.AUTHENTICATION_DELAY_S


def test_refused_credentials_clear_the_cookie() -> None:
    answer = envelope.not_authenticated()
    assert (answer.status, answer.body, answer.content_type) == (401, b"authentication failed", None)
    assert answer.headers[0][1].startswith("__Host-PBSAuthCookie=; Expires=Thu, 01 Jan 1970 00:00:00 GMT")


def test_no_answer_holds_bytes_that_are_no_text() -> None:
    file_name = b"caf\xe9.pxar".decode(errors="surrogateescape")
    found = envelope.encode({"a": [file_name], file_name: {"b": (file_name, 1)}})
    assert json.loads(found) == {"a": ["caf?.pxar"], "caf?.pxar": {"b": ["caf?.pxar", 1]}}
    failure = envelope.failure(400, file_name, Output.JSON)
    assert failure.body == b"caf?.pxar"


@pytest.mark.parametrize("accept", ["deflate", "gzip, deflate", "deflate;q=0.5", "br , deflate"])
def test_deflate_on_request(accept: str) -> None:
    answer = envelope.deflated(Answer(200, b"x" * 1000), accept)
    assert isinstance(answer.body, bytes)
    assert zlib.decompress(answer.body) == b"x" * 1000
    assert ("content-encoding", "deflate") in answer.headers


@pytest.mark.parametrize("accept", ["", "gzip", "gzip, br", "x-deflate"])
def test_no_other_compression(accept: str) -> None:
    assert envelope.deflated(Answer(200, b"x" * 1000), accept).body == b"x" * 1000


def test_streams_are_not_deflated() -> None:
    pieces = iter([b"x"])
    assert envelope.deflated(Answer(200, pieces), "deflate").body is pieces
