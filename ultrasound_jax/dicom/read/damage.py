"""Frames that are damaged, and what is done about them."""

from typing import Literal, get_args

from ultrasound_jax.types import InputError

OnDamage = Literal["refuse", "keep"]
CHOICES: tuple[OnDamage, ...] = get_args(OnDamage)
Damage = tuple[int, str]  # a frame, counted from 1, and what is wrong with it


class DamagedFrame(InputError):
    """A frame's data are damaged: no other decoder is asked to make something of it."""


def first_damaged(frames: int) -> str:
    """The note on a file whose first frames are damaged."""
    return (
        "its first frame is damaged"
        if frames == 1
        else (f"its first {frames} frames are damaged")
    )


def believed(stated: int | None, holds: int, what: str) -> str:
    """The note on a header that counts otherwise than its `file` or `film`."""
    says = "no number of frames" if stated is None else f"{stated} frames"
    whose = "its film" if what == "film" else "the file"
    return f"the header states {says}, {whose} holds {holds}: the {what} is believed"
