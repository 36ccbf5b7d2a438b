"""Names of people's things as names of files: different ones stay different.

A name may hold what a file system or a shell does not bear. Replacing such letters by
`_` makes one file of `患者1` and `病人1`, and the second is written over the first;
so a name that has to change gets a piece of its hash.
"""

import hashlib
import re

_MOST = 80  # letters: what every file system bears, with an ending
_DIGITS = 8
# What Windows keeps for itself, with or without an ending.
_KEPT = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)


def file_name(name: str) -> str:
    """The name, or what can stand for it in a file system: letters, digits and `._-`.

    A name that can stand is kept as it is. Any other, and one that is too long or ends
    or begins with a dot, ends with `-` and 8 digits of its hash, so that two names
    never become one; a name that looks like such a result gets a hash as well.
    """
    short = re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip(".")[:_MOST]
    looks_made = re.search(rf"-[0-9a-f]{{{_DIGITS}}}$", name)
    if short == name and name and not looks_made and not _KEPT.match(name):
        return name
    told = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS]
    return f"{short or '_'}-{told}"
