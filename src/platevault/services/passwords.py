"""Passwords: argon2id for users of realm `pbs`, the machine's own check for `pam`.

Few hashes run at a time: one takes 64 MiB and tens of milliseconds, and logins come from anybody who can reach the port.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import hmac
import threading
from functools import cached_property

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from platevault.config.identifiers import name_of, realm_of
from platevault.config.secrets import PASSWORD, Secrets
from platevault.errors import Invalid, Unavailable

MIN_CHARACTERS = 8
MAX_CHARACTERS = 64
MAX_TRIED_BYTES = 1024
HASHES_AT_ONCE = 4
REALM_PBS = "pbs"
REALM_PAM = "pam"


class RealmUnavailable(Unavailable):
    """Passwords of this realm cannot be checked on this machine."""


class Passwords:
    """Password hashes by user id."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets
        self._hasher = PasswordHasher()
        self._busy = threading.BoundedSemaphore(HASHES_AT_ONCE)

    @cached_property
    def _decoy(self) -> str:
        """Checked in place of a hash that does not exist; made at the first use, as most commands check no password."""
        return self._hasher.hash("a password that nobody has")

    def set(self, user_id: str, password: str) -> None:
        """Raises Invalid for a length outside 8 to 64 characters and for realms whose passwords live elsewhere."""
        if not MIN_CHARACTERS <= len(password) <= MAX_CHARACTERS:
            raise Invalid(f"a password has {MIN_CHARACTERS} to {MAX_CHARACTERS} characters")
        if realm_of(user_id) != REALM_PBS:
            raise Invalid(f"passwords of realm '{realm_of(user_id)}' are not kept here")
        with self._busy:
            made = self._hasher.hash(password)
        self._secrets.set(PASSWORD, user_id, made.encode())

    def forget(self, user_id: str) -> None:
        self._secrets.delete(PASSWORD, user_id)

    def verify(self, user_id: str, password: str) -> bool:
        """Takes the same time whether or not the user has a password. Raises RealmUnavailable."""
        if len(password.encode("utf-8", "surrogatepass")) > MAX_TRIED_BYTES:
            return False
        if realm_of(user_id) == REALM_PAM:
            return _machine_accepts(name_of(user_id), password)
        stored = self._secrets.get(PASSWORD, user_id)
        with self._busy:
            return self._fits(user_id, (stored or b"").decode("ascii", "replace"), password)

    def _fits(self, user_id: str, stored: str, password: str) -> bool:
        if stored.startswith("$") and not stored.startswith("$argon2"):
            return self._fits_imported(user_id, stored, password)
        try:
            return self._hasher.verify(stored or self._decoy, password) and bool(stored)
        except (Argon2Error, InvalidHashError):
            return False

    def _fits_imported(self, user_id: str, stored: str, password: str) -> bool:
        """A hash of an imported server ($5$, $6$, $y$): verified once, then replaced by our own."""
        if not crypt_matches(password, stored):
            return False
        self._secrets.set(PASSWORD, user_id, self._hasher.hash(password).encode())
        return True


_crypt_lock = threading.Lock()


def crypt_matches(password: str, stored: str) -> bool:
    """Whether the C library's crypt gives the stored hash. Raises RealmUnavailable without that library."""
    name = ctypes.util.find_library("crypt")
    if name is None or "\0" in password:
        raise RealmUnavailable("libcrypt is missing: imported password hashes cannot be checked, set a new password")
    library = ctypes.CDLL(name)
    library.crypt.restype = ctypes.c_char_p
    with _crypt_lock:  # crypt answers in static memory
        made = library.crypt(password.encode(), stored.encode())
    return made is not None and hmac.compare_digest(made, stored.encode())


def _machine_accepts(name: str, password: str) -> bool:
    try:
        import pam  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        raise RealmUnavailable("realm 'pam' needs the package python-pam on this machine; use realm 'pbs'") from None
    return bool(pam.pam().authenticate(name, password, service="login"))
