"""One new image by both stages: segment, cut the region out, classify it."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from ultrasound_jax.data.spec import INDEX
from ultrasound_jax.datasets.options import checked_config
from ultrasound_jax.datasets.regions.options import SKIP, RegionsConfig
from ultrasound_jax.media.geometry import letterbox
from ultrasound_jax.media.regions import TRUE, Box, cut_out, resized, scaled_mask
from ultrasound_jax.predict.run import Run
from ultrasound_jax.predict.stages.errors import StagesError

REGIONS = "regions"  # the dataset that a classifier of the second stage is trained on
KEEP, STRETCH = "keep", "stretch"


@dataclass(frozen=True, eq=False)
class TwoStage:
    """What both stages say of one image.

    mask: of the segmenter: 0 background, then its structures, on its own square.
    box: of the region, in the square that it was cut from.
    region: what the classifier saw.
    found: whether anything was found; if not, the region is the whole picture.
    scores: class -> score; None where nothing was found and the classifier was trained
        without such pictures (`nothing=skip`).
    """

    mask: UInt8[np.ndarray, "h w"]
    box: Box
    region: UInt8[np.ndarray, "s s"]
    found: bool
    scores: dict[str, float] | None


def two_stage(
    segmenter: Run, classifier: Run, image: UInt8[np.ndarray, "h w"]
) -> TwoStage:
    """Segments an image, cuts the region out as the classifier learned it, and asks it.

    Args:
        segmenter: a fold of the segmentation, or a run of its own.
        classifier: of regions, as `python -m ultrasound_jax.predict.stages` trains.
        image: grey, as it is stored, of any size.

    Raises:
        StagesError: the first run finds no masks, or the second reads no regions, or
            true ones, which a new image has not.
    """
    how = regions_of(classifier)
    mask = found_mask(segmenter, image)
    picture = fitted(image, how.pixels, aspect_of(segmenter))
    marked = scaled_mask(mask, how.pixels, how.pixels) > 0
    region, box, _ = cut_out(picture, marked, how.cut)
    found = bool(mask.any())
    scores = None
    if found or how.nothing != SKIP:
        name = classifier.spec.of_role("pixels")[0]
        given = classifier.scores(_batch(name, region))[0]
        scores = dict(zip(classifier.classes, given.tolist(), strict=True))
    return TwoStage(mask, box, region, found, scores)


def regions_of(classifier: Run) -> RegionsConfig:
    """How the classifier's regions were cut.

    Raises:
        StagesError: it was trained on something else, or on boxes of true masks.
    """
    made = classifier.about["preprocessing"]
    if made["dataset"] != REGIONS:
        raise StagesError(
            f"'{classifier.folder}' was trained on {made['dataset']}, allowed is a "
            "classifier of regions: python -m ultrasound_jax.predict.stages trains them"
        )
    how = checked_config(RegionsConfig, REGIONS, made["options"])
    if how.kind == TRUE:
        raise StagesError(
            f"'{classifier.folder}' was trained on boxes of true masks (kind={TRUE}), "
            "which a new image has not; allowed are the other kinds"
        )
    return how


def found_mask(
    segmenter: Run, image: UInt8[np.ndarray, "h w"]
) -> UInt8[np.ndarray, "s s"]:
    """What a segmentation marks on an image, on the square that it was trained on.

    It is fitted into that square as the datasets of images do it, and what is found is
    treated as in the run's own table.

    Raises:
        StagesError: the run finds no masks, or not on grey squares of 8 bits.
    """
    if segmenter.task.decision != "mask":
        raise StagesError(
            f"'{segmenter.folder}' decides by {segmenter.task.decision}, allowed is a "
            "segmentation"
        )
    name = segmenter.spec.of_role("pixels")[0]
    shape = segmenter.spec[name].batch_shape(name)
    if len(shape) != 3 or shape[0] != shape[1] or segmenter.spec[name].dtype != "uint8":
        raise StagesError(
            f"'{segmenter.folder}' reads {segmenter.spec[name].dtype} {shape}, allowed "
            "are grey squares of 8 bits"
        )
    picture = fitted(image, shape[0], aspect_of(segmenter))
    scores = segmenter.scores(_batch(name, picture))
    found = _decided(scores)
    nothing = np.zeros((1, found.shape[-1]), np.int64)
    kept = {"tp": nothing, "fp": nothing, "fn": nothing, "found": found, "truth": found}
    return np.asarray(segmenter.task.columns(kept, full=True)["found"])[0]


def aspect_of(segmenter: Run) -> str:
    """How the segmenter's dataset fits pictures into squares: its option `aspect`.

    Raises:
        StagesError: in a way that is not known here.
    """
    aspect = segmenter.about["preprocessing"]["options"].get("aspect", KEEP)
    if aspect not in (KEEP, STRETCH):
        raise StagesError(
            f"'{segmenter.folder}' was trained with aspect={aspect!r}, allowed are "
            f"{KEEP} and {STRETCH}"
        )
    return aspect


def fitted(
    image: UInt8[np.ndarray, "h w"], size: int, aspect: str
) -> UInt8[np.ndarray, "{size} {size}"]:
    """The image in a square, with black margins or stretched."""
    return letterbox(image, size) if aspect == KEEP else resized(image, size)


def _decided(scores: Float[np.ndarray, "1 h w k"]) -> np.ndarray:
    """The pixels of each structure: a sigmoid over a half, or the largest share."""
    if scores.shape[-1] == 1:
        return scores > 0.5
    shares = np.concatenate([1 - scores.sum(axis=-1, keepdims=True), scores], axis=-1)
    return shares.argmax(axis=-1)[..., None] == np.arange(1, shares.shape[-1])


def _batch(name: str, picture: UInt8[np.ndarray, "s s"]) -> dict[str, np.ndarray]:
    return {name: picture[None, ..., None], INDEX: np.zeros(1, np.int32)}
