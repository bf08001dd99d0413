from __future__ import annotations

import pytest

from platevault.client.encryption import PLAIN, Encryption, MissingKey, OtherKey, check_fingerprint, key_for
from platevault.errors import Forbidden, Invalid
from platevault.formats.keys import CryptKey
from platevault.formats.manifest import CryptMode

KEY, OTHER = CryptKey(bytes(range(32))), CryptKey(bytes(32))


@pytest.mark.parametrize(
    ("mode", "key", "data", "signs"),
    [
        (CryptMode.NONE, None, False, False),
        (CryptMode.NONE, KEY, False, False),
        (CryptMode.SIGN_ONLY, KEY, False, True),
        (CryptMode.ENCRYPT, KEY, True, True),
    ],
)
def test_which_key_is_used_for_what(mode: CryptMode, key: CryptKey | None, data: bool, signs: bool) -> None:
    made = Encryption(mode, key)
    assert made.data_key is (KEY if data else None)
    assert made.signing_key is (KEY if signs else None)
    assert PLAIN.data_key is PLAIN.signing_key is None


@pytest.mark.parametrize("mode", [CryptMode.ENCRYPT, CryptMode.SIGN_ONLY])
def test_a_mode_that_needs_a_key_gets_one(mode: CryptMode) -> None:
    with pytest.raises(Invalid, match="key create"):
        Encryption(mode)


def test_the_key_for_reading() -> None:
    assert key_for(CryptMode.ENCRYPT, KEY, "x", None) is KEY
    for mode in (CryptMode.NONE, CryptMode.SIGN_ONLY):
        assert key_for(mode, KEY, "x", None) is None
    with pytest.raises(MissingKey, match=r"x\.img\.fidx is encrypted with the key ab:cd") as caught:
        key_for(CryptMode.ENCRYPT, None, "x.img.fidx", "ab:cd" + ":00" * 30)
    assert isinstance(caught.value, Forbidden)


def test_fingerprints_are_compared_only_when_both_are_there() -> None:
    check_fingerprint(None, KEY)
    check_fingerprint(OTHER.fingerprint_text, None)
    check_fingerprint(KEY.fingerprint_text, KEY)
    with pytest.raises(OtherKey) as caught:
        check_fingerprint(OTHER.fingerprint_text, KEY)
    assert (caught.value.expected, caught.value.got) == (OTHER.fingerprint_text, KEY.fingerprint_text)
