"""The worked examples of the protocol, byte for byte (spec wire-protocol §8)."""

from __future__ import annotations

import hashlib
import json

from kit.session_server import JSON, PLAIN, READER, Peer, SessionServer, sealed
from platevault.formats import blob

A, B, C = b"A" * 100000, b"B" * 50000, b"C" * 50000
ZERO, D, E = bytes(4194304), b"D" * 2097152, b"E" * 2097152
DIGESTS = {
    A: "e6631225e83d23bf67657e85109ad5deb3570e1405d7aaa23a2485ae8582c143",
    B: "0e8d7e3b6a8e6aa385815a40583f860bbb6b306d04dd82a648d3c2b62f6abf4e",
    C: "a6365daaa6b00938418b963b3862b8d40772ef43358a14252ec0d68e36e52dd6",
    ZERO: "bb9f8df61474d25e71fa00722318cd387396ca1736605e1248821cc0de3d3af8",
    D: "aa275092ec9a308cf0311841b6efb51558fcc5c3ef9d10b18aed897f6c6941ce",
    E: "6b63375c57986b454ce0218bb04186997587ff1929b43e3a7c372600b150a3cd",
}
CRCS = {A: "058a9fd7", B: "2c753d06", C: "795fd559"}
NULL = b'{"data":null}'
CONFIG = bytes.fromhex("42ab3807be8370a1be6623de6b6579313a2076616c7565310a6b6579323a2076616c7565320a")
QEMU_CONFIG = sealed(PLAIN, b"boot: order=scsi0\nmemory: 2048\n")
AB = "7bd46cdf7c242699d662076253769bbbc8626eadfb75da6d0572ca0c623a38c3"
AC = "bd4ea0e3cb40d78369c81e7c37bf46c6288dd36a66defbb5e8ab95e6f229e21c"
ZD = "912f84c28574d22ab4013ef2f1c0443b381d546edc579ebed185577d790842d8"
ZE = "3311ffb7a6a68303ad4a89f417aaf20afa868cf9969dbc35e0d28feaabe1c8d3"
FIRST, SECOND, VM_FIRST, VM_SECOND = 1718000000, 1718003600, 1718007200, 1718010800


def exact(peer: Peer, method: str, target: str, body: bytes = b"", content_type: str | None = None) -> bytes:
    """Body of a 200."""
    fields = () if content_type is None else (("content-type", content_type),)
    answer = peer.answer(peer.request(method, target, body, fields))
    assert answer.status == 200, bytes(answer.body)
    return bytes(answer.body)


def chunk(peer: Peer, kind: str, data: bytes, wid: int = 1) -> bytes:
    query = f"digest={DIGESTS[data]}&encoded-size={len(data) + 12}&size={len(data)}&wid={wid}"
    return exact(peer, "POST", f"/{kind}_chunk?{query}", sealed(PLAIN, data))


def append(*entries: tuple[bytes, int]) -> bytes:
    content = {"digest-list": [DIGESTS[data] for data, _ in entries], "offset-list": [offset for _, offset in entries], "wid": 1}
    return json.dumps(content, separators=(",", ":")).encode()


def manifest(backup_type: str, backup_id: str, time: int, files: list[tuple[str, str, int]]) -> bytes:
    listed = [{"crypt-mode": "none", "csum": csum, "filename": name, "size": size} for name, csum, size in files]
    content = {"backup-id": backup_id, "backup-time": time, "backup-type": backup_type, "files": listed, "signature": None}
    return json.dumps({**content, "unprotected": {}}, indent=2, sort_keys=True).encode()


def stored_statistics(server: SessionServer, query: dict[str, object] | None = None, *, number: int = 0) -> dict[str, int]:
    reader = server.open(READER, query, number=number)
    content = json.loads(blob.decode(exact(reader, "GET", "/download?file-name=index.json.blob")))
    reader.drop()
    statistics: dict[str, int] = content["unprotected"]["chunk_upload_stats"]
    return statistics


def send_manifest(peer: Peer, text: bytes, length: int, digest: str | None = None) -> None:
    encoded = sealed(PLAIN, text)
    assert len(encoded) == length
    assert digest in (None, hashlib.sha256(encoded).hexdigest())
    assert exact(peer, "POST", f"/blob?encoded-size={length}&file-name=index.json.blob", encoded) == NULL


def first_backup(server: SessionServer) -> None:
    """§8.1"""
    peer = server.open(query={"benchmark": "false", "debug": "true"})
    assert exact(peer, "GET", "/previous_backup_time") == NULL
    assert exact(peer, "POST", "/blob?encoded-size=38&file-name=test.conf.blob", CONFIG) == NULL
    assert exact(peer, "POST", "/dynamic_index?archive-name=root.pxar.didx") == b'{"data":1}'
    for data in (A, B):
        assert sealed(PLAIN, data)[8:12][::-1].hex() == CRCS[data]
        assert chunk(peer, "dynamic", data) == b'{"data":"%s"}' % DIGESTS[data].encode()
    body = append((A, 0), (B, 100000))
    assert len(body) == 184
    assert exact(peer, "PUT", "/dynamic_index", body, JSON) == NULL
    assert exact(peer, "POST", f"/dynamic_close?chunk-count=2&csum={AB}&size=150000&wid=1") == NULL
    files = [("test.conf.blob", hashlib.sha256(CONFIG).hexdigest(), 38), ("root.pxar.didx", AB, 150000)]
    text = manifest("host", "elsa", FIRST, files)
    assert len(text) == 494
    send_manifest(peer, text, 506, "59152302baaf8646d3fab46e07cbfaa348f729e9ee30905cb2bb3074f82accde")
    assert exact(peer, "POST", "/finish") == NULL
    peer.drop()
    server.settle()


def test_first_backup(server: SessionServer) -> None:
    first_backup(server)
    assert stored_statistics(server) == {"compressed_size": 150024, "count": 2, "duplicates": 0, "size": 150544}
    task = server.task("backup")
    assert task.upid.endswith(r":backup:store\x3ahost-elsa:root@pam:")
    assert task.status == "OK"
    log = server.log(task)
    assert 'created new dynamic index 1 ("host/elsa/2024-06-10T06:13:20Z/root.pxar.didx")' in log
    assert "Upload size: 150000 (100%)" in log
    assert log[-1] == "TASK OK"


def test_second_backup_with_one_chunk_changed(server: SessionServer) -> None:
    first_backup(server)
    peer = server.open(number=1)
    assert exact(peer, "GET", "/previous_backup_time") == b'{"data":1718000000}'
    assert exact(peer, "POST", "/dynamic_index?archive-name=root.pxar.didx") == b'{"data":1}'
    body = append((A, 0), (C, 100000))
    refused = peer.call("PUT", "/dynamic_index", None, body, JSON)
    assert refused.status == 400  # the previous index was not fetched yet
    json.loads(blob.decode(exact(peer, "GET", "/previous?archive-name=index.json.blob")))
    assert len(exact(peer, "GET", "/previous?archive-name=root.pxar.didx")) == 4176
    chunk(peer, "dynamic", C)
    assert exact(peer, "PUT", "/dynamic_index", body, JSON) == NULL
    assert exact(peer, "POST", f"/dynamic_close?chunk-count=2&csum={AC}&size=150000&wid=1") == NULL
    text = manifest("host", "elsa", SECOND, [("root.pxar.didx", AC, 150000)])
    send_manifest(peer, text, 330, "0fc7217058c24cb5fc64a2f56839536c1ea18b0a3051129556eef14159dd02df")
    assert exact(peer, "POST", "/finish") == NULL
    assert stored_statistics(server, number=1) == {"compressed_size": 50012, "count": 1, "duplicates": 0, "size": 50330}


def test_qemu_and_its_incremental_backup(server: SessionServer) -> None:
    """§8.3"""
    vm: dict[str, object] = {"backup-type": "vm", "backup-id": "100"}
    peer = server.open(query=vm | {"backup-time": VM_FIRST, "benchmark": "false", "debug": "false"})
    none_yet = peer.call("GET", "/previous?archive-name=index.json.blob")
    assert none_yet.status == 400
    assert len(none_yet.body) >= 8
    assert exact(peer, "POST", "/fixed_index?archive-name=drive-scsi0.img.fidx&size=6291456") == b'{"data":1}'
    chunk(peer, "fixed", ZERO)
    assert exact(peer, "POST", "/blob?encoded-size=43&file-name=qemu-server.conf.blob", QEMU_CONFIG) == NULL
    chunk(peer, "fixed", D)
    assert exact(peer, "PUT", "/fixed_index", append((ZERO, 0), (D, 4194304)), JSON) == NULL
    assert exact(peer, "POST", f"/fixed_close?chunk-count=2&csum={ZD}&size=6291456&wid=1") == NULL
    config = ("qemu-server.conf.blob", hashlib.sha256(QEMU_CONFIG).hexdigest(), 43)
    send_manifest(peer, manifest("vm", "100", VM_FIRST, [config, ("drive-scsi0.img.fidx", ZD, 6291456)]), 517)
    assert exact(peer, "POST", "/finish") == NULL
    peer.drop()
    assert stored_statistics(server, vm | {"backup-time": VM_FIRST}) == {
        "compressed_size": 6291480,
        "count": 2,
        "duplicates": 0,
        "size": 6292016,
    }
    incremental_backup(server, vm, config)


def incremental_backup(server: SessionServer, vm: dict[str, object], config: tuple[str, str, int]) -> None:
    peer = server.open(query=vm | {"backup-time": VM_SECOND})
    exact(peer, "GET", "/previous?archive-name=index.json.blob")
    assert len(exact(peer, "GET", "/previous?archive-name=drive-scsi0.img.fidx")) == 4160
    created = exact(peer, "POST", f"/fixed_index?archive-name=drive-scsi0.img.fidx&reuse-csum={ZD}&size=6291456")
    assert created == b'{"data":1}'
    chunk(peer, "fixed", ZERO)
    assert exact(peer, "POST", "/blob?encoded-size=43&file-name=qemu-server.conf.blob", QEMU_CONFIG) == NULL
    chunk(peer, "fixed", E)
    assert exact(peer, "PUT", "/fixed_index", append((E, 4194304)), JSON) == NULL
    assert exact(peer, "POST", f"/fixed_close?chunk-count=1&csum={ZE}&size=2097152&wid=1") == NULL
    send_manifest(peer, manifest("vm", "100", VM_SECOND, [config, ("drive-scsi0.img.fidx", ZE, 6291456)]), 517)
    assert exact(peer, "POST", "/finish") == NULL
    statistics = stored_statistics(server, vm | {"backup-time": VM_SECOND})
    assert statistics == {"compressed_size": 6291480, "count": 2, "duplicates": 1, "size": 6292016}


def test_restore(server: SessionServer) -> None:
    """§8.4; the delay of the refusals passes when the clock is moved."""
    first_backup(server)
    reader = server.open(READER, {"debug": "true"})
    early = reader.request("GET", f"/chunk?digest={DIGESTS[A]}")
    blob.decode(exact(reader, "GET", "/download?file-name=index.json.blob"))
    assert not reader.answers[early].ended
    server.clock.advance(3.0)
    assert len(exact(reader, "GET", "/download?file-name=root.pxar.didx")) == 4176
    assert reader.answer(early).status == 401
    for data in (A, B):
        answer = reader.call("GET", "/chunk", {"digest": DIGESTS[data]})
        assert answer.body == sealed(PLAIN, data)
        assert answer.headers["content-length"] == str(len(data) + 12)
    foreign = reader.request("GET", f"/chunk?digest={DIGESTS[C]}")
    assert reader.status("GET", "/download?file-name=client.log.blob") == 404
    assert reader.status("GET", "/download?file-name=missing.fidx") == 400
    server.clock.advance(3.0)
    assert reader.status("GET", "/speedtest") == 200
    assert reader.answer(foreign).status == 401
    reader.drop()
    server.settle()
    task = server.task("reader")
    assert (task.worker_id, task.status) == ("store:host/elsa/66669980", "OK")
