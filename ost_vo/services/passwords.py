"""Passwords: what makes one good enough, and the hashes by which one is known again.

Source: RFC 9106 section 4 (argon2id, the second recommended option); RFC 8265 section 4.2 (NFC).
"""

from __future__ import annotations

import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from ost_vo.faults import UsageFault

MIN_CHARACTERS = 10
# More would only keep the processor busy.
MAX_BYTES = 1024

_hasher = PasswordHasher()

# No password has this hash; to try one against it takes as long as against any other.
NOBODY = (
    f"$argon2id$v=19$m={_hasher.memory_cost},t={_hasher.time_cost},p={_hasher.parallelism}"
    f"${'A' * 22}${'A' * 43}"
)


def hashed(password: str) -> str:
    """Return the hash to keep of a new password.

    Raises:
        UsageFault: it is too short or too long, or cannot be written as UTF-8.
    """
    if len(password) < MIN_CHARACTERS:
        raise UsageFault(f"The password has fewer than {MIN_CHARACTERS} characters.", "Choose a longer one.")
    data = encoded(password)
    if data is None:
        raise UsageFault(
            f"The password has more than {MAX_BYTES} bytes, or characters that are none.", "Choose another."
        )
    return _hasher.hash(data)


def matches(stored: str, password: str) -> bool:
    """Say whether a hash is that of a password; takes equally long either way."""
    data = encoded(password)
    try:
        return _hasher.verify(stored, data if data is not None else b"") and data is not None
    except (VerificationError, InvalidHashError):
        return False


def is_outdated(stored: str) -> bool:
    """Say whether a hash was made with other parameters than those of today."""
    return _hasher.check_needs_rehash(stored)


def encoded(password: str) -> bytes | None:
    """Return the bytes of a password, which do not depend on the keyboard; None if it can be nobody's."""
    try:
        data = unicodedata.normalize("NFC", password).encode()
    except UnicodeEncodeError:
        return None
    return data if len(data) <= MAX_BYTES else None
