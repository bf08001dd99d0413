"""`platevault key …`: encryption keys and master keys. Nothing here talks to a server.

Source: spec formats §6. Keys are written with mode 0600 and never over an existing file.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from platevault.cli.client_key_options import KEY_NAME, MASTER_NAME, default_places, read_key_bytes, unlock
from platevault.cli.client_options import OutputOption, VerboseOption
from platevault.cli.output import OutputFormat, note, output
from platevault.cli.secrets_from import ask_new_secret, secret_from
from platevault.errors import Conflict, Invalid, Unavailable

if TYPE_CHECKING:
    from platevault.formats.key_file import Kdf, KeyFile

PAPER_BEGIN, PAPER_END = "-----BEGIN PROXMOX BACKUP KEY-----", "-----END PROXMOX BACKUP KEY-----"

app = typer.Typer(no_args_is_help=True, help="Encryption keys.")
PathArgument = Annotated[Path | None, typer.Argument(help="Key file; the default place if left out.", show_default=False)]
KdfOption = Annotated[str, typer.Option("--kdf", help="scrypt, pbkdf2, or none for a key without passphrase.")]
HintOption = Annotated[str | None, typer.Option("--hint", help="Reminder of the passphrase, stored in clear.", show_default=False)]


@app.command()
def create(path: PathArgument = None, kdf: KdfOption = "scrypt", hint: HintOption = None, verbose: VerboseOption = False) -> None:
    """Make a new key."""
    from platevault.clock import SystemClock
    from platevault.formats import key_file
    from platevault.formats.keys import CryptKey

    place, chosen = path or next(default_places(KEY_NAME)), _kdf(kdf)
    _refuse_existing(place)
    key = CryptKey.generate()
    made = key_file.create(key, chosen, _new_passphrase(chosen), now=SystemClock().now(), hint=hint)
    _write_new(place, made.encode())
    note(f"{place}: new key {key.fingerprint_text[:23]}; keep a copy elsewhere, without it no backup comes back")


@app.command()
def show(path: PathArgument = None, chosen: OutputOption = OutputFormat.TEXT, verbose: VerboseOption = False) -> None:
    """Show what a key file says of itself. Asks for no passphrase."""
    place, file = _load(path)
    data = {
        "path": str(place),
        "kdf": file.kind.value,
        "created": file.created,
        "modified": file.modified,
        "fingerprint": file.fingerprint or (file.unlock().fingerprint_text if file.kdf is None else None),
        "hint": file.hint,
    }
    output(chosen).value(data, "\n".join(f"{name}: {value}" for name, value in data.items() if value is not None))


@app.command("change-passphrase")
def change_passphrase(
    path: PathArgument = None, kdf: KdfOption = "scrypt", hint: HintOption = None, verbose: VerboseOption = False
) -> None:
    """Lock the same key with another passphrase. Old backups stay readable."""
    from platevault.clock import SystemClock

    place, file = _load(path)
    key, chosen = unlock(file), _kdf(kdf)
    passphrase = _new_passphrase(chosen)
    _replace(place, file.locked_again(key, chosen, passphrase, now=SystemClock().now(), hint=hint).encode())


@app.command("import")
def import_key(
    source: Annotated[Path, typer.Argument(help="A key file, or the text of a printed key.")],
    path: PathArgument = None,
    verbose: VerboseOption = False,
) -> None:
    """Take over a key from another place or from its printed form."""
    from platevault.formats.key_file import parse

    place = path or next(default_places(KEY_NAME))
    text = read_key_bytes(source)
    if PAPER_BEGIN.encode() in text:
        text = text.partition(PAPER_BEGIN.encode())[2].partition(PAPER_END.encode())[0]
    _write_new(place, parse(text).encode())
    note(f"{place}: imported")


@app.command("paperkey", hidden=True)  # as proxmox-backup-client calls it
@app.command("export-paper")
def export_paper(
    path: PathArgument = None,
    subject: Annotated[str | None, typer.Option("--subject", help="A line above the key.", show_default=False)] = None,
    verbose: VerboseOption = False,
) -> None:
    """Print a key for a safe: text that `key import` and other clients read again."""
    _, file = _load(path)
    lines = [f"Subject: {subject}", ""] if subject else []
    lines += [PAPER_BEGIN, json.dumps(json.loads(file.encode()), indent=2, ensure_ascii=False), PAPER_END]
    print("\n".join(lines))


@app.command("create-master-key")
def create_master_key(
    folder: Annotated[Path, typer.Argument(help="Where master-public.pem and master-private.pem go.")] = Path("."),
    verbose: VerboseOption = False,
) -> None:
    """Make a pair of RSA keys: the public half wraps the key of every backup, the private half lies in a safe."""
    from platevault.formats.master_key import create_pair

    private_file, public_file = folder / "master-private.pem", folder / MASTER_NAME
    for place in (private_file, public_file):
        _refuse_existing(place)
    private, public = create_pair(_passphrase("master key").encode())
    _write_new(private_file, private)
    _write_new(public_file, public)
    note(f"{public_file} and {private_file} written: move the private one to a safe place")


@app.command("import-master-pubkey")
def import_master_pubkey(
    source: Annotated[Path, typer.Argument(help="A public RSA key in PEM form.")], verbose: VerboseOption = False
) -> None:
    """Use this master key for every encrypted backup of this user."""
    from platevault.formats.master_key import load_public

    pem, place = read_key_bytes(source), next(default_places(MASTER_NAME))
    load_public(pem)
    _write_new(place, pem)
    note(f"{place}: imported")


@app.command("import-with-master-key")
def import_with_master_key(
    wrapped: Annotated[Path, typer.Argument(help="A restored rsa-encrypted.key.")],
    master: Annotated[Path, typer.Argument(help="The private master key.")],
    path: PathArgument = None,
    kdf: KdfOption = "scrypt",
    hint: HintOption = None,
    verbose: VerboseOption = False,
) -> None:
    """Get back the key of a backup with the private master key."""
    from platevault.clock import SystemClock
    from platevault.formats.master_key import load_private, unwrap

    place, chosen = path or next(default_places(KEY_NAME)), _kdf(kdf)
    _refuse_existing(place)
    passphrase = secret_from("PBS_MASTER_PASSWORD", os.environ) or _ask_master()
    file = unwrap(read_key_bytes(wrapped), load_private(read_key_bytes(master), passphrase.encode() or None))
    again = file.locked_again(file.unlock(), chosen, _new_passphrase(chosen), now=SystemClock().now(), hint=hint or file.hint)
    _write_new(place, again.encode())
    note(f"{place}: imported")


def _ask_master() -> str:
    from platevault.cli.secrets_from import ask_secret

    return ask_secret("Passphrase of the master key", otherwise="the master key is locked: set PBS_MASTER_PASSWORD")


def _kdf(text: str) -> Kdf:
    from platevault.formats.key_file import Kdf

    if text not in set(Kdf):
        raise Invalid(f"--kdf {text!r}: expected scrypt, pbkdf2 or none")
    return Kdf(text)


def _new_passphrase(kdf: Kdf) -> bytes | None:
    from platevault.formats.key_file import Kdf

    return None if kdf is Kdf.NONE else _passphrase("key").encode()


def _passphrase(what: str) -> str:
    given = secret_from("PBS_NEW_ENCRYPTION_PASSWORD", os.environ)
    if given is not None:
        return given
    return ask_new_secret(f"New passphrase of the {what}", otherwise="no terminal to ask for a passphrase: set PBS_NEW_ENCRYPTION_PASSWORD")


def _load(path: Path | None) -> tuple[Path, KeyFile]:
    from platevault.formats.key_file import parse

    place = path or next((place for place in default_places(KEY_NAME) if place.exists()), next(default_places(KEY_NAME)))
    return place, parse(read_key_bytes(place))


def _refuse_existing(place: Path) -> None:
    if place.exists():
        raise Conflict(f"{place} exists: a key is never written over another", path=place)


def _write_new(place: Path, data: bytes) -> None:
    """On return the file survives a power cut: backups made with a key that is then lost are lost."""
    try:
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        _sync_folder(place)
    except FileExistsError as error:
        raise Conflict(f"{place} exists: a key is never written over another", path=place) from error
    except OSError as error:
        raise Unavailable(f"cannot write {place}: {error.strerror}", path=place) from error


def _replace(place: Path, data: bytes) -> None:
    """The old key is there until the new one is."""
    fresh = place.with_name(place.name + ".new")
    fresh.unlink(missing_ok=True)
    _write_new(fresh, data)
    os.replace(fresh, place)
    _sync_folder(place)


def _sync_folder(place: Path) -> None:
    """Without this a power cut may take the name of a file that is on the disk."""
    folder = os.open(place.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
