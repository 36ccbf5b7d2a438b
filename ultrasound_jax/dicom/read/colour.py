"""Which colours a picture's samples are, and RGB out of them.

Real files lie: RGB is stated over YCbCr JPEGs, and YBR_FULL_422 stays in the header
after somebody has converted the pixels, which then turn green. So the header is the
last witness but one. For three samples a pixel, in this order:

1. Chroma that is coarser than luma is YCbCr: nobody coarsens green and blue.
2. An Adobe marker, or components named R, G, B, say what an encoder did.
3. A JFIF marker on a DCT picture says YCbCr. (Lossless encoders write it and do not
   convert, so there it says nothing.)
4. JPEG 2000's own transform, and those of JPEG XL (one of which is YCbCr, in JPEGs that
   were recompressed), are undone by the decoder if they were used, and leave RGB.
5. PhotometricInterpretation. YBR_ICT, YBR_RCT and XYB mean RGB here: what they name has
   been undone by now, or was never done.
6. The frames themselves. Ultrasound is mostly black and grey. If hardly any pixel is
   grey in the space found so far, and many are in the other one, the other is right.
   A frame without structure (zeros, a colour from edge to edge) says nothing, and one
   frame that shows greys in the space found so far is enough to keep it.

The same space holds for every frame of a cine, so that colours never jump.
"""

from collections.abc import Iterable

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from ultrasound_jax.dicom.read.codestream import Codestream

RGB, YBR, YBR_PARTIAL = "rgb", "ybr", "ybr_partial"
_NEAR = 6  # levels; JPEG noise around grey stays below
_FEW, _MANY = 0.1, 0.4  # shares of grey pixels; black borders alone are more
_FEWEST = 100  # pixels that a frame must show, apart from what is all over it
_RED, _BLUE = 1.402, 1.772  # BT.601, as PS3.3, section C.7.6.3.1.2 has it
_GREEN_CB, _GREEN_CR = -0.344136, -0.714136


def _matrix(luma: float, chroma: float, black: float) -> np.ndarray:
    """From Y, Cb, Cr to R, G, B, with the offsets as a fourth column."""
    weights = np.array(
        [[1, 0, _RED], [1, _GREEN_CB, _GREEN_CR], [1, _BLUE, 0]], np.float64
    ) * [luma, chroma, chroma]
    return np.column_stack([weights, -weights @ [black, 128, 128]])


_MATRICES = {
    YBR: _matrix(1.0, 1.0, 0.0),
    YBR_PARTIAL: _matrix(255 / 219, 255 / 224, 16.0),
}


def stated_space(photometric: str, stream: Codestream | None) -> str:
    """The space that the compressed picture or else the header states."""
    if stream is not None and stream.kind.endswith("jpeg"):
        if stream.subsampled:
            return YBR
        if stream.adobe is not None:
            return YBR if stream.adobe else RGB
        if stream.ids == tuple(b"RGB"):
            return RGB
        if stream.jfif and stream.kind == "jpeg":
            return YBR
    if stream is not None and stream.transformed:
        return RGB
    if photometric.startswith("YBR_PARTIAL"):
        return YBR_PARTIAL
    return YBR if photometric.startswith("YBR_FULL") else RGB


def other_space(stated: str) -> str:
    """The space that is meant where the stated one is wrong."""
    return YBR if stated == RGB else RGB


def seen_space(
    stated: str, pictures: Iterable[UInt8[np.ndarray, "h w 3"]]
) -> tuple[str, bool]:
    """The stated space unless pixels say that it must be the other one.

    Also returns whether the pictures contradict each other.

    Args:
        stated: as `stated_space` gives it.
        pictures: of one cine, most telling first. They are asked for one by one, and
            no further than to the first that agrees with what is stated.
    """
    overruled = False
    for picture in pictures:
        witness = _witness(stated, picture)
        if witness == stated:
            return stated, overruled
        overruled |= witness is not None
    return (other_space(stated) if overruled else stated), False


def _witness(stated: str, samples: UInt8[np.ndarray, "h w 3"]) -> str | None:
    """The space in which a picture's greys are grey; None if it cannot tell."""
    step = max(1, int((samples.size / 300_000) ** 0.5))
    # A row a channel: along rows of 3 NumPy takes ten times as long.
    few = np.ascontiguousarray(samples[::step, ::step].reshape(-1, 3).T)
    chroma = (_away(few[1], 128.0) <= _NEAR) & (_away(few[2], 128.0) <= _NEAR)
    equal = few.max(axis=0) - few.min(axis=0) <= _NEAR
    telling = ~(chroma & equal)  # a middle grey is grey in both
    few, chroma, equal = few[:, telling], chroma[telling], equal[telling]
    if few.shape[1] < _FEWEST:
        return None
    # Whatever the background means, echoes on it must mean it too.
    away = [_away(channel, _median(channel)) > _NEAR for channel in few]
    shown = away[0] | away[1] | away[2]
    if shown.sum() < _FEWEST:
        return None
    here, there = (equal, chroma) if stated == RGB else (chroma, equal)
    if here.mean() >= _FEW or here[shown].mean() >= _FEW:
        return stated
    return other_space(stated) if there.mean() > _MANY else None


def _away(channel: UInt8[np.ndarray, " n"], level: float) -> Float[np.ndarray, " n"]:
    """How far each sample is from a level, looked up."""
    return np.abs(np.arange(256) - level)[channel]


def _median(channel: UInt8[np.ndarray, " n"]) -> float:
    """As NumPy's median, from how often each level occurs."""
    below = np.cumsum(np.bincount(channel, minlength=256))
    middle = (len(channel) - 1) // 2, len(channel) // 2
    return float(np.searchsorted(below, middle, side="right").mean())


def to_rgb(
    samples: UInt8[np.ndarray, "h w 3"], space: str
) -> UInt8[np.ndarray, "h w 3"]:
    """Converts with OpenCV; at most 1 level from the exact, rounded values."""
    if space == RGB:
        return np.ascontiguousarray(samples)
    return cv2.transform(samples, _MATRICES[space])


def to_grey(
    samples: UInt8[np.ndarray, "h w 3"], space: str
) -> UInt8[np.ndarray, "h w"]:
    """Luminance: Y where it is stored, else BT.601's weights.

    Y and the luminance of the converted RGB differ by rounding, but for colours that no
    screen has: there conversion cuts off what Y still holds.
    """
    if space == RGB:
        return cv2.cvtColor(np.ascontiguousarray(samples), cv2.COLOR_RGB2GRAY)
    luma = np.ascontiguousarray(samples[..., 0])
    if space == YBR:
        return luma
    return cv2.convertScaleAbs(np.maximum(luma, 16), None, 255 / 219, -16 * 255 / 219)
