"""Names that say nothing, from a salt that stays with the user.

A pseudonym is a keyed hash (HMAC-SHA256) of the identifier: the same person has the
same one in every run with the same key file, and without the key file nobody can find
it by trying hospital numbers, as plain hashes would allow.
"""

import hashlib
import hmac
import json
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from ultrasound_jax.runs import json_text
from ultrasound_jax.runs.files import whole_file
from ultrasound_jax.types import InputError

_FORMAT = "ultrasound_jax pseudonym key 1"
_SALT_BYTES = 32
_LONGEST_SHIFT = 3650  # days
_NOTE = (
    "Private: who has this file and a list of patients can undo the pseudonyms. It "
    "stays with you. Without it new files get other pseudonyms."
)


@dataclass(frozen=True)
class Pseudonyms:
    """Pseudonyms and date shifts of one key.

    40 bits are kept of each: among 10 000 patients two share a pseudonym with a
    probability of 5e-5.
    """

    salt: bytes = field(repr=False)

    @classmethod
    def open(cls, key_file: str | os.PathLike[str]) -> "Pseudonyms":
        """Reads the key file, or makes one with a new random salt.

        It is readable by its owner only. Of two processes that make it at once, one
        wins and both use its salt.

        Raises:
            InputError: the file is something else, or cannot be read or written.
        """
        path = Path(key_file)
        try:
            if not path.exists():
                _create(path)
            tree = json_text.parsed(path.read_bytes())
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            raise InputError(
                f"{path}: the key file can be neither read nor made: {why}"
            ) from error
        try:
            salt = bytes.fromhex(tree["salt"])
            if tree["format"] != _FORMAT or len(salt) != _SALT_BYTES:
                raise ValueError
        except (KeyError, TypeError, ValueError):
            raise InputError(
                f"{path}: not a key file, allowed is JSON of format {_FORMAT!r} with a "
                f"salt of {_SALT_BYTES} bytes"
            ) from None
        return cls(salt)

    def patient(self, patient_id: str) -> str:
        """P and 10 hexadecimal digits; the blanks that DICOM pads with do not count."""
        return "P" + self.digest("patient", patient_id.strip())[:10]

    def study(self, uid: str) -> str:
        """S and 10 hexadecimal digits."""
        return "S" + self.digest("study", uid.strip())[:10]

    def shift_days(self, patient_id: str) -> int:
        """Days to add to every date of a patient: -3650 to -1, the same for all.

        Intervals between a patient's dates stay true, and no date lies in the future.
        """
        number = int(self.digest("days", patient_id.strip()), 16)
        return -1 - number % _LONGEST_SHIFT

    def digest(self, kind: str, text: str) -> str:
        """64 hexadecimal digits for one kind of text; other kinds get others."""
        # Paths and broken tags may hold lone surrogates.
        message = f"{kind}\0{text}".encode("utf-8", "surrogatepass")
        return hmac.new(self.salt, message, hashlib.sha256).hexdigest()


def _create(path: Path) -> None:
    tree = {
        "format": _FORMAT,
        "note": _NOTE,
        "salt": secrets.token_bytes(_SALT_BYTES).hex(),
    }
    # Another process may have made the key meanwhile, and names patients by it.
    with whole_file(path, mode=0o600, over=False) as temporary:
        temporary.write_text(json.dumps(tree, indent=1))
