"""How the stored bytes of one file become pictures in true colours.

Codecs give raw samples. Which codec, which colour space, which table of tones or
colours: all this is decided once a file, on its first frame (two more are asked where
that one speaks against the stated colours, or cannot tell), and holds for every frame.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np

from ultrasound_jax.dicom.read import codecs, colour, palette, tone
from ultrasound_jax.dicom.read.codestream import (
    Codestream,
    read_codestream,
    starts_picture,
)
from ultrasound_jax.dicom.read.counting import count_frames
from ultrasound_jax.dicom.read.damage import DamagedFrame, OnDamage, first_damaged
from ultrasound_jax.dicom.read.header import CineHeader
from ultrasound_jax.dicom.read.jpegxl import BARE
from ultrasound_jax.dicom.read.samples import (
    cut_bits,
    read_layout,
    samples_of,
)
from ultrasound_jax.dicom.read.second_opinion import agreed
from ultrasound_jax.dicom.read.source import (
    DEFLATED,
    DEFLATED_FRAMES,
    RLE,
    UNCOMPRESSED,
    Source,
)
from ultrasound_jax.dicom.read.stream import inflated_frame
from ultrasound_jax.media.recording import Want
from ultrasound_jax.runs.limits import Limits
from ultrasound_jax.types import InputError


class Pictures:
    """How the stored bytes of one file become pictures; decided on its first frame."""

    def __init__(
        self,
        source: Source,
        header: CineHeader,
        want: Want,
        limits: Limits,
        *,
        cross_check: bool,
        damaged: OnDamage,
    ) -> None:
        self.source, self.want, self._keep = source, want, damaged == "keep"
        self.damage: dict[int, str] = {}
        self.layout = read_layout(source, header)
        self.header, self.table = count_frames(
            source, header, self.layout, limits, damaged
        )
        self._decide_on_first(cross_check)

    def _decide_on_first(self, cross_check: bool) -> None:
        """Decides on the first frame that is whole; with `keep` it may be a later one.

        Raises:
            InputError: the first is damaged, or all are.
        """
        refused = None
        for index in range(self.header.frames if self._keep else 1):
            try:
                return self._decide(index, cross_check)
            except InputError as error:
                refused = refused or error
        if isinstance(refused, DamagedFrame):
            raise DamagedFrame(f"frame 1 of {self.header.frames}: {refused}")
        raise refused or InputError("there is no frame")

    def _decide(self, index: int, cross_check: bool) -> None:
        notes = list(self.table.notes)
        first = self.read(index)
        self.kind = self._kind(first)
        stream = self._codestream(first)
        self.decoder = self._decoder(stream, first, cross_check, notes)
        self.decoder_name = "zlib" if self.kind == "deflated" else "native"
        if self.decoder:
            self.decoder_name = self.decoder.name
        self.bits = self.layout.bits_stored
        signed = self.layout.signed
        if stream is not None and self.kind != "rle":
            self.bits, signed = min(self.bits, stream.precision), signed | stream.signed
        samples = self._samples(index, first, stream)
        self._choose_colours(samples, stream, signed, notes, index)
        if index:
            notes.append(first_damaged(index))
        self.notes = tuple(notes)

    def read(self, index: int) -> bytes:
        """The stored bytes of a frame."""
        return self.table.read(self.source.stream, index)

    def _kind(self, first: bytes) -> str:
        """How frames are stored, by what stands there rather than by the syntax."""
        if not self.source.encapsulated:
            return "native"
        syntax = self.header.transfer_syntax
        if starts_picture(first) or first[4:8] == b"jP  ":
            # Two bytes are little to know JPEG XL by; pixels may well begin so.
            if not (first[:2] == BARE and syntax in UNCOMPRESSED):
                return "picture"
        if syntax == RLE:
            return "rle"
        if syntax == DEFLATED_FRAMES:
            return "deflated"
        if syntax in UNCOMPRESSED:
            return "native"
        raise InputError(
            f"transfer syntax {syntax} is not supported, allowed are uncompressed, "
            "deflated, JPEG, JPEG-LS, JPEG 2000, JPEG XL, RLE and MPEG"
        )

    def _codestream(self, code: bytes) -> Codestream | None:
        """The headline of a compressed frame, which must have the stated size."""
        layout = self.layout
        if self.kind in ("native", "deflated"):
            return None
        if self.kind == "rle":
            size = layout.columns, layout.rows, layout.samples
            return Codestream("rle", *size, layout.bits_allocated, lossless=True)
        stream = read_codestream(code)
        if (stream.columns, stream.rows) != (layout.columns, layout.rows):
            raise InputError(
                f"a frame of {stream.columns} x {stream.rows} pixels, allowed are "
                f"the {layout.columns} x {layout.rows} of the header"
            )
        if stream.samples not in (1, 3) or not 2 <= stream.precision <= 16:
            raise InputError(
                f"a frame has {stream.samples} components of {stream.precision} bits, "
                "allowed are 1 or 3 of 2 to 16"
            )
        return stream

    def _decoder(
        self,
        stream: Codestream | None,
        first: bytes,
        cross_check: bool,
        notes: list[str],
    ) -> codecs.Decoder | None:
        """The first decoder that can read the first frame; another must agree."""
        if stream is None:
            return None
        results, failures = [], []
        for decoder in codecs.decoders_for(stream):
            try:
                samples = codecs.decode(decoder, first, stream, self.layout)
                results.append((decoder, samples))
            except DamagedFrame:
                raise
            except InputError as error:
                failures.append(str(error))
                if decoder.final:
                    break
            if results and not cross_check:
                break
        if not results:
            raise DamagedFrame("; ".join(failures))
        notes += failures
        return agreed(results, first, stream, self.layout, notes)

    def _samples(
        self, index: int, stored: bytes, stream: Codestream | None
    ) -> np.ndarray:
        """A frame's raw samples, `h w` or `h w 3`."""
        if stream is None or self.decoder is None:
            needed = (self.layout.frame_bits + 7) // 8
            if self.kind == "deflated":
                stored = inflated_frame(stored, needed)
            if self.source.encapsulated:  # may be padded to an even length
                if not needed <= len(stored) <= needed + 1:
                    raise InputError(f"{len(stored)} bytes, {needed} are needed")
                stored, index = stored[:needed], 0
            return samples_of(stored, self.layout, index)
        samples = codecs.decode(self.decoder, stored, stream, self.layout)
        return cut_bits(samples, self.layout) if self.kind == "rle" else samples

    def _choose_colours(
        self,
        samples: np.ndarray,
        stream: Codestream | None,
        signed: bool,
        notes: list[str],
        index: int,
    ) -> None:
        photometric, dataset = self.header.photometric, self.source.dataset
        in_colour = samples.ndim == 3
        if in_colour != (self.header.samples == 3):
            notes.append(
                f"states {self.header.samples} samples a pixel, a frame differs"
            )
        if photometric == "PALETTE COLOR" and not in_colour:
            self.space = "palette"
            self.lookup = palette.read_palette(
                dataset,
                bits=self.bits,
                signed=signed,
                big_endian=not self.source.little_endian,
            )
            if self.want == "grey":
                self.lookup = colour.to_grey(self.lookup[None], colour.RGB)[0]
            return
        self.lookup = tone.tone_table(
            dataset,
            bits=self.bits,
            signed=signed,
            inverted=photometric == "MONOCHROME1" and not in_colour,
            colour=in_colour,
        )
        if not in_colour:
            self.space = "grey"
            return
        stated = colour.stated_space(photometric, stream)
        self.space, disputed = colour.seen_space(
            stated, self._witnesses(samples, index)
        )
        if disputed:
            notes.append(
                f"some frames look {colour.other_space(stated)} and others {stated}: "
                f"{stated} is taken, as stated"
            )
        if self.space != stated:
            notes.append(f"its colours are stated as {stated} but are {self.space}")
        elif stated != colour.stated_space(photometric, None) and not _undone(stream):
            notes.append(f"{photometric} is stated but the frames are {self.space}")

    def _witnesses(self, first: np.ndarray, taken: int) -> Iterator[np.ndarray]:
        """The first (`taken`), the last and the middle frame, in stored colours.

        Damaged ones are left out here; `make` raises when it is their turn. To read
        the end of a deflated file is to inflate all of it: there the first must do.
        """
        yield tone.apply_table(first, self.lookup, self.bits)
        last = self.header.frames - 1
        if self.source.syntax == DEFLATED:
            return
        for index in sorted({last, last // 2} - {taken}, reverse=True):
            try:
                stored = self.read(index)
                samples = self._samples(index, stored, self._codestream(stored))
            except InputError:
                continue
            if samples.ndim == 3:
                yield tone.apply_table(samples, self.lookup, self.bits)

    def make(self, index: int, stored: bytes) -> np.ndarray:
        """Frame `index` as it is wanted; a black one if it is damaged and kept.

        Raises:
            InputError: it is damaged or of another kind than the first.
        """
        try:
            return self._make(index, stored)
        except InputError as error:
            if not self._keep:
                raise InputError(
                    f"frame {index + 1} of {self.header.frames}: {error}"
                ) from None
            self.damage[index + 1] = str(error)
            colours = () if self._is_grey else (3,)
            shape = self.layout.rows, self.layout.columns, *colours
            return np.zeros(shape, np.uint8)

    @property
    def _is_grey(self) -> bool:
        if self.want == "grey":
            return True
        return self.lookup.ndim == 1 and self.space in ("grey", "palette")

    def _make(self, index: int, stored: bytes) -> np.ndarray:
        stream = self._codestream(stored)
        if stream is not None and self._luma_is_enough(stream):
            stream = dataclasses.replace(stream, samples=1)
            return codecs.decode(codecs.LUMA, stored, stream, self.layout)
        samples = self._samples(index, stored, stream)
        if (samples.ndim == 3) == (self.space in ("grey", "palette")):
            raise InputError("it has other samples than the first")
        shown = tone.apply_table(samples, self.lookup, self.bits)
        if not shown.flags.writeable:  # a view of the bytes that were read
            shown = shown.copy()
        if self.space in ("grey", "palette"):
            return shown
        convert = colour.to_grey if self.want == "grey" else colour.to_rgb
        return convert(shown, self.space)

    def _luma_is_enough(self, stream: Codestream) -> bool:
        return (
            self.want == "grey"
            and self.space == colour.YBR
            and stream.kind == "jpeg"
            and stream.samples == 3
            and self.bits == stream.precision == 8
        )


def _undone(stream: Codestream | None) -> bool:
    """JPEG XL leaves RGB where a header tells of the YCbCr JPEG that it was made of."""
    return stream is not None and stream.kind == "jpegxl" and stream.transformed
