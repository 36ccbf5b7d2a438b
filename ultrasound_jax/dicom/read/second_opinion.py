"""Which of two decoders is believed where both have decoded a file's first frame."""

from collections.abc import Sequence

import numpy as np

from ultrasound_jax.dicom.read import codecs
from ultrasound_jax.dicom.read.codestream import Codestream
from ultrasound_jax.dicom.read.samples import Layout
from ultrasound_jax.types import InputError

Result = tuple[codecs.Decoder, np.ndarray]


def agreed(
    results: Sequence[Result],
    code: bytes,
    stream: Codestream,
    layout: Layout,
    notes: list[str],
) -> codecs.Decoder:
    """The first decoder, if the second agrees, else the one that a third agrees with.

    Args:
        results: decoders, and what they made of the frame; the first choice first.
        code: the frame.
        stream: its headline.
        layout: of the file.
        notes: gets a line where a decoder was wrong.

    Raises:
        InputError: two decoders disagree, and there is no third that agrees with one.
    """
    first = results[0]
    for other in results[1:]:
        if blackened := _blackened(first, other, stream):
            notes.append(
                f"openjph shows {blackened} white samples of the first frame as black: "
                "openjpeg is believed"
            )
            continue
        try:
            _compare(first, other, stream)
        except InputError as disagreement:
            return _judged(first, other, disagreement, code, stream, layout, notes)
    return first[0]


def _compare(one: Result, other: Result, stream: Codestream) -> None:
    codecs.check_agreement((one[0].name, one[1]), (other[0].name, other[1]), stream)


def _blackened(first: Result, other: Result, stream: Codestream) -> int:
    """How many samples differ by openjph's known fault, if nothing else differs."""
    if (first[0].name, other[0].name) != ("openjpeg", "openjph") or stream.lossless:
        return 0
    turns = 1 << 8 * first[1].dtype.itemsize
    right, found = first[1].astype(np.int64), other[1].astype(np.int64)
    wrong = (right - found) > turns // 2
    if not wrong.any():
        return 0
    mended = np.where(wrong, right, found).astype(first[1].dtype)
    try:
        _compare(first, (other[0], mended), stream)
    except InputError:
        return 0
    # What wrapped must have been as white as can be, but for rounding.
    white = 1 << stream.precision - stream.signed
    step = 1 << max(0, stream.precision - 8)
    return int(wrong.sum()) if (right[wrong] >= white - 5 * step).all() else 0


def _judged(
    first: Result,
    other: Result,
    disagreement: InputError,
    code: bytes,
    stream: Codestream,
    layout: Layout,
    notes: list[str],
) -> codecs.Decoder:
    judge = codecs.JUDGES.get(stream.kind)
    if judge is None:
        raise disagreement
    try:
        third = judge, codecs.decode(judge, code, stream, layout)
    except InputError as error:
        raise InputError(f"{disagreement}; {error}") from None
    for one in (first, other):
        try:
            _compare(one, third, stream)
        except InputError:
            continue
        notes.append(
            f"{disagreement}: {one[0].name} is believed, as {judge.name} agrees"
        )
        return one[0]
    raise InputError(f"{disagreement}; {judge.name} agrees with neither")
