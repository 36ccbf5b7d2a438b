"""What an original calls a parameter, from what the modules on its way declare.

A class says by `TORCH_NAMES` how its original calls its parts: a list of (pattern,
name) that is applied in turn to our own path, written with dots and relative to the
module. In a name `\\1` is a group as it stands, `<0>` the first one counted from 1 (the
originals count so), `<0+2>` the first one plus 2, and `<head>` what the module's
encoder, or the module itself, calls its classifier (`TORCH_HEAD`).
"""

import re
from collections.abc import Sequence
from typing import Any

from flax import nnx

Names = Sequence[tuple[str, str]]


def renamed(path: str, module: nnx.Module) -> str:
    """The original's name for `path`, which is relative to `module`."""
    for pattern, name in getattr(type(module), "TORCH_NAMES", ()):
        if "<head>" in name:
            named: Any = getattr(module, "encoder", module)
            name = name.replace("<head>", named.TORCH_HEAD)

        def replace(match: re.Match[str], name: str = name) -> str:
            def count(place: re.Match[str]) -> str:
                return str(int(match[int(place[1]) + 1]) + int(place[2] or 1))

            return match.expand(re.sub(r"<(\d)([+-]\d)?>", count, name))

        path = re.sub(pattern, replace, path)
    return path
