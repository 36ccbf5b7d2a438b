"""How many frames a file really has, which its header may not know.

What is there is believed, and a note says what the header states. Frames that the
header states and that are not there are a missing tail, which is damage.
"""

import dataclasses
from pathlib import Path

from ultrasound_jax.dicom.read import fragments, mpeg
from ultrasound_jax.dicom.read.damage import OnDamage
from ultrasound_jax.dicom.read.fragments import FrameTable
from ultrasound_jax.dicom.read.header import CineHeader, header_of, with_frames
from ultrasound_jax.dicom.read.samples import Layout, read_layout
from ultrasound_jax.dicom.read.source import FILMS, Source, open_source
from ultrasound_jax.runs.limits import Limits
from ultrasound_jax.types import InputError


def count_frames(
    source: Source,
    header: CineHeader,
    layout: Layout,
    limits: Limits,
    damaged: OnDamage,
) -> tuple[CineHeader, FrameTable]:
    """Finds the frames of a file that is no film; the header with their number.

    Raises:
        InputError: there are fewer than stated, and damage is refused; or none.
    """
    if source.encapsulated:
        table = fragments.encapsulated_frames(
            source, header.frames, stated=header.multi_frame
        )
    else:
        table = fragments.native_frames(
            source, layout, header.frames, stated=header.multi_frame
        )
    wrong = table.missing or table.doubt
    if wrong and (damaged == "refuse" or not table.frames):
        raise InputError(wrong)
    if wrong:
        note = f"its end is missing: {wrong}" if table.missing else wrong
        table = dataclasses.replace(table, notes=(*table.notes, note))
    return with_frames(header, source.dataset, len(table.frames), limits), table


def count_header(
    path: str | Path, *, limits: Limits | None = None, damaged: OnDamage = "refuse"
) -> tuple[CineHeader, tuple[str, ...]]:
    """The header of a file with the frames that are there, and notes; decodes nothing.

    Raises:
        InputError: as `read_header`, or its pixel data has not the frames it states.
    """
    path, limits = Path(path), limits or Limits()
    try:
        with open_source(path, limits) as source:
            header = header_of(path, source, limits)
            if source.syntax in FILMS:
                header, _, _, notes = mpeg.count_film(source, header, limits, damaged)
                return header, tuple(notes)
            layout = read_layout(source, header)
            header, table = count_frames(source, header, layout, limits, damaged)
            return header, table.notes
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
