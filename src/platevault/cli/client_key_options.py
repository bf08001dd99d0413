"""Options for encryption keys, and the encryption or the key that they describe.

Default places of keys: those of proxmox-backup-client (spec formats §6.1), so that a machine that has it needs nothing new.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from platevault.cli.secrets_from import ask_secret, secret_from
from platevault.errors import Invalid, NotFound, Unavailable

if TYPE_CHECKING:
    from platevault.client.encryption import Encryption
    from platevault.formats.key_file import KeyFile
    from platevault.formats.keys import CryptKey

KEY_NAME = "encryption-key.json"
MASTER_NAME = "master-public.pem"
MAX_KEY_BYTES = 64 * 1024

KeyFileOption = Annotated[Path | None, typer.Option("--keyfile", help="File of the encryption key.", show_default=False)]
KeyFdOption = Annotated[int | None, typer.Option("--keyfd", help="Descriptor to read the encryption key from.", show_default=False)]
MasterOption = Annotated[
    Path | None, typer.Option("--master-pubkey-file", help="RSA key to which the encryption key is wrapped.", show_default=False)
]
MasterFdOption = Annotated[int | None, typer.Option("--master-pubkey-fd", help="Descriptor to read the RSA key from.", show_default=False)]
CryptModeOption = Annotated[
    str | None, typer.Option("--crypt-mode", help="none, encrypt or sign-only; encrypt when there is a key.", show_default=False)
]


@dataclass(frozen=True, slots=True)
class KeyOptions:
    """What was given on the command line."""

    keyfile: Path | None = None
    keyfd: int | None = None
    master: Path | None = None
    mode: str | None = None
    master_fd: int | None = None

    @property
    def is_given(self) -> bool:
        """Whether a key was named, rather than found in its default place."""
        return self.keyfile is not None or self.keyfd is not None


def default_places(name: str, environment: Mapping[str, str] = os.environ) -> Iterator[Path]:
    """Where a key or master key lies when no option names one; the first is where new ones go."""
    folders = [environment.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")]
    folders += (environment.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":")
    for folder in folders:
        yield Path(folder) / "proxmox-backup" / name


def read_key_bytes(path: Path) -> bytes:
    """A key or PEM file. Raises NotFound or Unavailable."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_KEY_BYTES)
    except FileNotFoundError as error:
        raise NotFound(f"{path} does not exist", path=path) from error
    except OSError as error:
        raise Unavailable(f"cannot read {path}: {error.strerror}", path=path) from error


def _read_descriptor(descriptor: int, option: str) -> bytes:
    try:
        with os.fdopen(descriptor, "rb") as file:
            return file.read(MAX_KEY_BYTES)
    except OSError as error:
        raise Invalid(f"{option} {descriptor} cannot be read: {error.strerror}") from error


def find_key(options: KeyOptions) -> KeyFile | None:
    """The key file of the options, else from a default place; None when there is none."""
    from platevault.formats.key_file import parse

    if options.keyfile is not None and options.keyfd is not None:
        raise Invalid("--keyfile and --keyfd exclude each other")
    if options.keyfd is not None:
        return parse(_read_descriptor(options.keyfd, "--keyfd"))
    path = options.keyfile or next((place for place in default_places(KEY_NAME) if place.exists()), None)
    return None if path is None else parse(read_key_bytes(path))


def given_passphrase() -> str | None:
    """What PBS_ENCRYPTION_PASSWORD and its kin say. Ask once: a descriptor can be read once, and a command may ask somebody."""
    return secret_from("PBS_ENCRYPTION_PASSWORD", os.environ)


def unlock(file: KeyFile) -> CryptKey:
    """The key itself; the passphrase comes from PBS_ENCRYPTION_PASSWORD or the terminal."""
    return file.unlock() if file.kdf is None else _unlock_with(file, given_passphrase())


def _unlock_with(file: KeyFile, passphrase: str | None) -> CryptKey:
    if passphrase is None:
        hint = f" (hint: {file.hint})" if file.hint and sys.stdin.isatty() else ""
        passphrase = ask_secret(f"Passphrase of the key{hint}", otherwise="the key is locked: set PBS_ENCRYPTION_PASSWORD")
    return file.unlock(passphrase.encode())


def reading_key(options: KeyOptions) -> CryptKey | None:
    """The key for a restore. A default key that is locked is only opened when it was asked for or a passphrase is at hand."""
    file = find_key(options)
    if file is None:
        return None
    if file.kdf is None:
        return file.unlock()
    passphrase = given_passphrase()
    return _unlock_with(file, passphrase) if options.is_given or passphrase is not None else None


def encryption(options: KeyOptions) -> Encryption:
    """How a backup is written. Without --crypt-mode: encrypted when there is a key, else plain."""
    from platevault.client.encryption import Encryption
    from platevault.formats.manifest import CryptMode

    if options.mode is not None and options.mode not in set(CryptMode):
        raise Invalid(f"--crypt-mode {options.mode!r}: expected none, encrypt or sign-only")
    if options.mode == CryptMode.NONE:
        if options.is_given:
            raise Invalid("--crypt-mode none does not go with a key")
        return Encryption()
    file = find_key(options)
    if file is None:
        return Encryption(CryptMode(options.mode or CryptMode.NONE))
    key = unlock(file)
    return Encryption(CryptMode(options.mode or CryptMode.ENCRYPT), key, _wrapped(options, key, file))


def _wrapped(options: KeyOptions, key: CryptKey, file: KeyFile) -> bytes | None:
    """The key file encrypted with the master key, when there is one."""
    from platevault.clock import SystemClock
    from platevault.formats import master_key

    pem = _master(options)
    return None if pem is None else master_key.wrap(key, file, master_key.load_public(pem), now=SystemClock().now())


def _master(options: KeyOptions) -> bytes | None:
    if options.master is not None and options.master_fd is not None:
        raise Invalid("--master-pubkey-file and --master-pubkey-fd exclude each other")
    if options.master_fd is not None:
        return _read_descriptor(options.master_fd, "--master-pubkey-fd")
    path = options.master or next((place for place in default_places(MASTER_NAME) if place.exists()), None)
    return None if path is None else read_key_bytes(path)
