"""What the builders of still images share: options, configs and the record."""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds
from absl import logging
from jaxtyping import UInt8

from ultrasound_jax.data.spec import PIXEL_MM, Field, Spec
from ultrasound_jax.datasets.beam.builder import ScalableBuilder
from ultrasound_jax.datasets.beam.records import Fact, Skipped
from ultrasound_jax.datasets.errors import DatasetError
from ultrasound_jax.datasets.image_files import Reading, as_text, by_kind, common_bits
from ultrasound_jax.datasets.mask_texts import TEXTS, pairs, text_refusal, told_text
from ultrasound_jax.datasets.options import BuildConfig
from ultrasound_jax.media.geometry import letterbox

SPLIT = "images"
SIDES = range(8, 4097)  # pixels
PAGES = range(0, 1001)
ALL_SIZES = 0
ASPECTS = ("keep", "stretch")


@dataclasses.dataclass(kw_only=True)
class ImageConfig(BuildConfig):
    """How images are cut and sized; a subclass adds options of its own.

    size: side of the square that an image is fitted into; 0 keeps every image at its
    own size. aspect: `keep` leaves black margins, `stretch` fills the square. page:
    which page of TIFFs that have several is the picture, from 1; 0 allows one only.
    """

    size: int = ALL_SIZES
    page: int = 0
    aspect: str = "keep"

    @classmethod
    def refusal(cls, option: str, value: Any) -> str:
        """As `BuildConfig.refusal`."""
        if option == "aspect":
            return "" if value in ASPECTS else ", ".join(ASPECTS)
        if option not in ("size", "page"):
            return super().refusal(option, value)
        whole = isinstance(value, int) and not isinstance(value, bool)
        if option == "page":
            fits = whole and value in PAGES
            return "" if fits else f"0 (one page only) to {PAGES[-1]}"
        if whole and (value == ALL_SIZES or value in SIDES):
            return ""
        return f"0 (all sizes) or {SIDES[0]} to {SIDES[-1]}"

    def contradiction(self, given: Collection[str]) -> str:
        """As `BuildConfig.contradiction`."""
        if self.aspect != "keep" and self.size == ALL_SIZES:
            return f"aspect={self.aspect} with size=0, allowed is a size"
        return super().contradiction(given)

    def reading(self) -> Reading:
        """How files are read by these options."""
        stretch = self.aspect == "stretch"
        return Reading(self.size, stretch=stretch, page=self.page)

    def title(self) -> str:
        """The size, and every option that is not the default's."""
        words = [
            _word(key, getattr(self, key))
            for key, default in self.options().items()
            if key != "size" and getattr(self, key) != default
        ]
        return "_".join([f"{self.size}px" if self.size else "all_sizes", *words])


@dataclasses.dataclass(kw_only=True)
class MaskedConfig(ImageConfig):
    """How masks are read that do not say what they mark; see `media.masks.read_mask`.

    mask_labels: `3=lung,4=lung`. mask_colours: `#00ff00=benign,#ff0000=malignant`.
    """

    mask_labels: str = ""
    mask_colours: str = ""

    @classmethod
    def refusal(cls, option: str, value: Any) -> str:
        """As `BuildConfig.refusal`."""
        if option not in TEXTS:
            return super().refusal(option, value)
        return text_refusal(option, value)

    def contradiction(self, given: Collection[str]) -> str:
        """As `BuildConfig.contradiction`."""
        if self.mask_labels and self.mask_colours:
            return "mask_labels and mask_colours, allowed is one of them"
        return super().contradiction(given)

    def reading(self) -> Reading:
        """As `ImageConfig.reading`."""
        return dataclasses.replace(
            super().reading(),
            labels=pairs(self.mask_labels) or None,
            colours=pairs(self.mask_colours) or None,
        )


class ImageBuilder(ScalableBuilder, skip_registration=True):
    """A builder with one image a record; subclasses set `CONFIG` and read files."""

    CONFIG: ClassVar[type[BuildConfig]] = ImageConfig
    # What an example is called, and what its `video_id` groups examples into.
    UNITS: ClassVar[tuple[str, str]] = ("image", "image")
    MASKED: ClassVar[tuple[str, ...]] = ("lesion",)  # the names of the mask's values

    def spec(self) -> Spec:
        """Images with a label for each class, and their masks where there are any."""
        features: Any = self.info.features
        metadata = self.info.metadata or {}
        classes = tuple(str(name) for name in metadata["classes"])
        image = features["image"]
        fields = {
            "image": Field(
                shape=tuple(image.shape),
                dtype=np.dtype(image.np_dtype).name,
                role="pixels",
                values=self.pixel_values(),
            ),
            "labels": Field(
                shape=(len(classes),), dtype="int8", role="labels", classes=classes
            ),
        }
        if "mask" in features:
            fields["mask"] = Field(
                shape=tuple(features["mask"].shape),
                dtype="uint8",
                role="mask",
                classes=self.mask_classes(),
            )
        if PIXEL_MM in features:
            side = tuple(features[PIXEL_MM].shape)
            fields[PIXEL_MM] = Field(shape=side, dtype="float32", role="number")
        fields |= self.graded_fields() | self.group_fields()
        return Spec(fields, self.UNITS)

    def mask_classes(self) -> tuple[str, ...]:
        """The classes that the masks' values 1, 2, … stand for."""
        return self.config.reading().classes or self.MASKED

    def reading(self, paths: Sequence[Path] = ()) -> Reading:
        """How files are read: by the options and, for deep pictures, as all of them.

        Args:
            paths: all pictures of the set, whose depth is to be one.
        """
        how = self.config.reading()
        bits = common_bits(paths, page=how.page)
        if self.info.metadata is not None:  # only its type says that it may be
            self.info.metadata["bits"] = bits
        return dataclasses.replace(how, bits=bits)

    def account(
        self, facts: Sequence[Fact], skipped: Sequence[Skipped]
    ) -> dict[str, Any]:
        """Also lists implausible masks, and pictures that were not taken as stored."""
        listed = by_kind(facts)
        if said := as_text(listed):
            logging.warning("%s: %s", self.name, said)
        return {**super().account(facts, skipped), **listed}

    def pixel_values(self) -> tuple[float, float]:
        """The pixel values that become 0 and 1."""
        return (0.0, 255.0)

    def image_info(
        self,
        *,
        classes: Sequence[str],
        licence: str,
        homepage: str | None = None,
        dtype: Any = np.uint8,
        mask: bool = True,
        label: bool = True,
        more: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> tfds.core.DatasetInfo:
        """The features of an image record and what is known of the set.

        Args:
            classes: names in the order of `labels`.
            licence: what may be done with it.
            homepage: where the set is described.
            dtype: of `image`: uint8 grey values or int16 Hounsfield units.
            mask: a record has `mask`, 0 and 1.
            label: a record has one of the classes as `label` too.
            more: features that only this set has.
            metadata: what else `info.metadata` holds.
        """
        side = self.config.size or None
        text = tfds.features.Text()
        # Raw bytes: reading a record is then little more than a copy.
        features = {
            "image": tfds.features.Tensor(
                shape=(side, side, 1), dtype=dtype, encoding="bytes"
            ),
            "labels": tfds.features.Tensor(shape=(len(classes),), dtype=np.int8),
            **dict.fromkeys(("example_id", "image_id", "video_id", "patient_id"), text),
            **(more or {}),
        }
        if label:
            features["label"] = tfds.features.ClassLabel(names=list(classes))
        if mask:
            features["mask"] = tfds.features.Tensor(
                shape=(side, side, 1), dtype=np.uint8, encoding="bytes"
            )
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(features),
            metadata=tfds.core.MetadataDict(
                classes=list(classes),
                size=self.config.size,
                licence=licence,
                skipped=[],
                bits=0,
                **by_kind([]),
                **(metadata or {}),
            ),
            homepage=homepage,
            license=licence,
            supervised_keys=("image", "label" if label else "mask"),
        )


def identity(image_id: str, patient_id: str) -> dict[str, str]:
    """The ids of an image record. An image is its own video of one frame."""
    return {
        "example_id": image_id,
        "image_id": image_id,
        "video_id": image_id,
        "patient_id": patient_id,
    }


def one_hot(label: int, classes: int) -> np.ndarray:
    """Labels int8 `k` of one class."""
    return np.eye(classes, dtype=np.int8)[label]


def fitted(
    image: UInt8[np.ndarray, "h w"], size: int, *, stretch: bool = False
) -> UInt8[np.ndarray, "H W 1"]:
    """The image in a square of `size`, or as it is for 0; see `letterbox`."""
    if size:
        image = letterbox(image, size, stretch=stretch)
    return image[..., np.newaxis]


def find_root(
    manual_dir: Path, places: Sequence[str], holds: Sequence[str], *, dataset: str
) -> Path:
    """The first of `places` below the manual folder that has one of `holds` in it.

    Raises:
        DatasetError: none has.
    """
    for place in places:
        root = manual_dir / place
        if any((root / name).is_dir() for name in holds):
            return root
    looked = " nor ".join(str(manual_dir / place) for place in places)
    raise DatasetError(
        f"{dataset}: none of the folders {', '.join(holds)} in {looked}; see the set's "
        "README"
    )


def _word(key: str, value: Any) -> str:
    if key in TEXTS:
        return told_text(key, value)
    if isinstance(value, bool):
        return key if value else f"no_{key}"
    if isinstance(value, str):
        return value
    return f"{key}{value:g}".replace(".", "p").replace("-", "minus")
