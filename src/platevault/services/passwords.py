"""Passwords: argon2id for users of realm `pbs`, the machine's own check for `pam`.

Few hashes run at a time: one takes 64 MiB and tens of milliseconds, and logins come from anybody who can reach the port.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import hmac
import threading

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from platevault.config.identifiers import name_of, realm_of
from platevault.config.secrets import PASSWORD, Secrets
from platevault.errors import Invalid, Unavailable

MIN_CHARACTERS = 8
MAX_CHARACTERS = 64
MAX_TRIED_BYTES = 1024
HASHES_AT_ONCE = 4
# Of random bytes that nobody knows: checked in place of a hash that does not exist.
DECOY = b"$argon2id$v=19$m=65536,t=3,p=4$zvPbq8h16lNwueFZo+kwZA$xcg3GtBEMS4gv8Uo2fE9ESocPAveyZ+rqbVMFn8FCwM"
REALM_PBS = "pbs"
REALM_PAM = "pam"


class RealmUnavailable(Unavailable):
    """Passwords of this realm cannot be checked on this machine."""


class Passwords:
    """Password hashes by user id."""

    def __init__(self, secrets: Secrets, hasher: PasswordHasher | None = None) -> None:
        self._secrets = secrets
        self._hasher = hasher or PasswordHasher()
        self._decoy = DECOY
        self._busy = threading.BoundedSemaphore(HASHES_AT_ONCE)

    def set(self, user_id: str, password: str) -> None:
        """Raises Invalid for a length outside 8 to 64 characters, for what is no text, and for realms whose passwords live elsewhere."""
        if not MIN_CHARACTERS <= len(password) <= MAX_CHARACTERS:
            raise Invalid(f"a password has {MIN_CHARACTERS} to {MAX_CHARACTERS} characters")
        if not _is_text(password):
            raise Invalid("a password consists of characters that can be typed")
        if realm_of(user_id) != REALM_PBS:
            raise Invalid(f"passwords of realm '{realm_of(user_id)}' are not kept here")
        with self._busy:
            made = self._hasher.hash(password)
        self._secrets.set(PASSWORD, user_id, made.encode())

    def forget(self, user_id: str) -> None:
        self._secrets.delete(PASSWORD, user_id)

    def verify(self, user_id: str, password: str) -> bool:
        """Takes the same time whether or not the user has a password. Raises RealmUnavailable."""
        if not _is_text(password) or len(password.encode()) > MAX_TRIED_BYTES:
            return False
        if realm_of(user_id) == REALM_PAM:
            return _machine_accepts(name_of(user_id), password)
        stored = self._secrets.get(PASSWORD, user_id) or b""
        with self._busy:
            return self._fits(user_id, stored, password)

    def waste_time(self, password: str) -> None:
        """Take as long as `verify` does."""
        self.verify(f"@{REALM_PBS}", password)

    def _fits(self, user_id: str, stored: bytes, password: str) -> bool:
        if stored.startswith(b"$") and not stored.startswith(b"$argon2"):
            return self._fits_imported(user_id, stored.decode("ascii", "replace"), password)
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


def _is_text(password: str) -> bool:
    """JSON can hold half a character, and C libraries stop at NUL."""
    return not any("\ud800" <= character <= "\udfff" or character == "\0" for character in password)


_crypt_lock = threading.Lock()


def crypt_matches(password: str, stored: str) -> bool:
    """Whether the C library's crypt gives the stored hash. Raises RealmUnavailable without that library."""
    name = ctypes.util.find_library("crypt")
    if name is None:
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
