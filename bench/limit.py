"""What the C calls alone need, on this machine, now: the yardstick beside every figure.

Receiving a plain chunk cannot cost less than decrypting its TLS records, hashing it, taking its CRC and writing it; an encrypted one is
not hashed. Each call is measured on the same random blocks, with nothing of ours around it.
"""

from __future__ import annotations

import datetime
import hashlib
import os
import ssl
import tempfile
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import zstandard
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bench.figure import GB, MIB, Row, Scale

BLOCK_BYTES = 4 * MIB
RECORD_BYTES = 16 * 1024


def measure(scale: Scale) -> list[Row]:
    count = scale.count(64)
    blocks = [os.urandom(BLOCK_BYTES) for _ in range(min(count, 16))]
    total = count * BLOCK_BYTES
    single = {
        "SHA-256": _seconds(lambda block: hashlib.sha256(block).digest(), blocks, count),
        "CRC-32": _seconds(zlib.crc32, blocks, count),
        "AES-GCM": _seconds(lambda block: AESGCM(bytes(32)).encrypt(bytes(12), block, b""), blocks, count),
        "zstd 1, random": _seconds(zstandard.ZstdCompressor(level=1).compress, blocks, count),
        "TLS decrypt": _tls_seconds(blocks, count),
        "file write": _write_seconds(scale.data, blocks, count),
    }
    rows = [Row(f"limit: {name}", cpu, total, extra={"cpu_s_per_gb": cpu / total * GB}) for name, cpu in single.items()]
    stored = single["TLS decrypt"] + single["file write"] + single["CRC-32"]
    rows.append(Row("limit: receive encrypted", stored, total, extra={"cpu_s_per_gb": stored / total * GB}))
    plain = stored + single["SHA-256"]
    rows.append(Row("limit: receive plain", plain, total, extra={"cpu_s_per_gb": plain / total * GB}))
    return rows


def _seconds(call: Callable[[bytes], object], blocks: list[bytes], count: int) -> float:
    start = time.process_time()
    for number in range(count):
        call(blocks[number % len(blocks)])
    return time.process_time() - start


def _write_seconds(folder: Path, blocks: list[bytes], count: int) -> float:
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        start = time.process_time()
        for number in range(count):
            with open(os.path.join(scratch, str(number)), "wb", buffering=0) as file:
                for offset in range(0, BLOCK_BYTES, MIB):
                    file.write(memoryview(blocks[number % len(blocks)])[offset : offset + MIB])
        return time.process_time() - start


def _tls_seconds(blocks: list[bytes], count: int) -> float:
    """Decryption of whole records between two ends in memory."""
    ours, theirs, network = _tls_pair()
    target, used = bytearray(BLOCK_BYTES), 0.0
    view = memoryview(target)
    for number in range(count):
        for offset in range(0, BLOCK_BYTES, RECORD_BYTES):
            theirs.write(memoryview(blocks[number % len(blocks)])[offset : offset + RECORD_BYTES])
        network[1].write(network[0].read())
        start = time.process_time()
        filled = 0
        while filled < BLOCK_BYTES:
            filled += int(ours.read(BLOCK_BYTES - filled, view[filled:]))
        used += time.process_time() - start
    return used


def _tls_pair() -> tuple[ssl.SSLObject, ssl.SSLObject, tuple[ssl.MemoryBIO, ssl.MemoryBIO]]:
    """Server end, client end, and the way from client to server (client's outgoing, server's incoming)."""
    to_server, from_server, client_in, client_out = ssl.MemoryBIO(), ssl.MemoryBIO(), ssl.MemoryBIO(), ssl.MemoryBIO()
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate, key = _certificate()
    with tempfile.NamedTemporaryFile() as file:
        file.write(certificate + key)
        file.flush()
        server_context.load_cert_chain(file.name)
    client_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client_context.check_hostname, client_context.verify_mode = False, ssl.CERT_NONE
    server = server_context.wrap_bio(to_server, from_server, server_side=True)
    client = client_context.wrap_bio(client_in, client_out)
    done: set[ssl.SSLObject] = set()
    while len(done) < 2:
        for end in (client, server):
            try:
                end.do_handshake()
                done.add(end)
            except ssl.SSLWantReadError:
                pass
            to_server.write(client_out.read())
            client_in.write(from_server.read())
    return server, client, (client_out, to_server)


def _certificate() -> tuple[bytes, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "bench")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + datetime.timedelta(days=1))
    certificate = builder.sign(key, hashes.SHA256())
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return certificate.public_bytes(serialization.Encoding.PEM), private
