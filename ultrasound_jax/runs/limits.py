"""How much one file may cost before it is refused."""

import dataclasses

from ultrasound_jax.types import InputError


@dataclasses.dataclass(frozen=True)
class Limits:
    """What reading one file may take; checked before anything is allocated.

    The defaults let the longest cines of real scanners through (a minute at 60 Hz in
    full HD) and stop decompression bombs and made-up sizes.

    memory_bytes: working memory for pixels: a few frames, never the whole cine.
    seconds: wall-clock time from opening a cine to its last frame.
    frames: frames in a file.
    pixels: rows times columns of a frame.
    inflated_bytes: a deflated file's size after inflation; and never more than 256 MiB
        and a hundred times the file's own size.
    """

    memory_bytes: int = 1 << 30
    seconds: float = 300.0
    frames: int = 20_000
    pixels: int = 1 << 26
    inflated_bytes: int = 8 << 30

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            if getattr(self, field.name) <= 0:
                raise InputError(
                    f"limit {field.name} is {getattr(self, field.name)}, "
                    "allowed is above 0"
                )
