"""LungSegDB (Rezvani et al. 2025): slices of chest CT with lung masks."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds
from absl import logging

from ultrasound_jax.datasets.image_builder import (
    SPLIT,
    ImageBuilder,
    MaskedConfig,
    find_root,
)
from ultrasound_jax.datasets.lungsegdb.files import (
    PARTS,
    STAGES,
    Slice,
    compare,
    list_slices,
)
from ultrasound_jax.datasets.lungsegdb.record import (
    Values,
    make_record,
    views,
)
from ultrasound_jax.datasets.options import checked_config
from ultrasound_jax.media.pictures import groups_by_likeness


@dataclass(kw_only=True)
class LungConfig(MaskedConfig):
    """Which slices, and what their pixels become.

    stage: `preprocessed` or `raw`, as the set's folders are called. part: `both`, `V1`
    or `V2`. values: `window` gives uint8, Hounsfield units through a window of `centre`
    and `width`; `hounsfield` gives int16 and has no place for slices of 8 bits. offset:
    what was added to the Hounsfield units of 16-bit files (1024 is usual; ours are
    signed and need none). fractions: of 0 to 1, which no Hounsfield units are: `refuse`
    or take as `grey` values. groups: what stands in for patients where names tell none:
    the `series` of the name, or `likeness`, near-duplicate groups, which separate less
    safely.
    """

    ALLOWED = {
        "stage": tuple(STAGES),
        "part": ("both", *PARTS),
        "values": ("window", "hounsfield"),
        "centre": (float, -1000, 1000),
        "width": (float, 1, 4000),
        "offset": (int, 0, 32768),
        "fractions": ("refuse", "grey"),
        "groups": ("series", "likeness"),
    }

    stage: str = "preprocessed"
    part: str = "both"
    values: str = "window"
    centre: float = -600.0
    width: float = 1500.0
    offset: int = 0
    fractions: str = "refuse"
    groups: str = "series"

    def contradiction(self, given: Collection[str]) -> str:
        """As `BuildConfig.contradiction`."""
        if self.fractions == "grey" and self.values == "hounsfield":
            return "fractions=grey with values=hounsfield, allowed is values=window"
        return super().contradiction(given)


class Builder(ImageBuilder):
    """Slices of V1 (LIDC-IDRI) and V2 (a set on Kaggle), each with its lung mask."""

    VERSION = tfds.core.Version("1.1.0")
    RELEASE_NOTES = {
        "1.0.0": "First release.",
        "1.1.0": "Masks shrink by what covers a pixel; small pieces keep one.",
    }
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Get LungSegDB by the link in https://github.com/sadjadrz/FusionLungNet and "
        "give the folder that holds `preprocessed data` or `raw data`, with "
        "{V1,V2}/{CT_Images,CT_Masks}: --manual_dir=DIR."
    )
    CONFIG = LungConfig
    PATIENT = "a series of files by its name, or a group of near duplicates"
    UNITS = ("slice", "slice")
    MASKED = ("lung",)
    BUILDER_CONFIGS: ClassVar[list[LungConfig]] = [
        checked_config(LungConfig, "lungsegdb", options)
        for options in (
            {},
            {"size": 320},
            {"part": "V1", "values": "hounsfield"},
        )
    ]

    def _info(self) -> tfds.core.DatasetInfo:
        units = self.config.values == "hounsfield"
        return self.image_info(
            classes=["lung"],
            homepage="https://doi.org/10.1016/j.bspc.2025.107858",
            licence="MIT by the authors; V1 is of LIDC-IDRI (CC BY 3.0)",
            dtype=np.int16 if units else np.uint8,
            label=False,
            more={
                "part": tfds.features.ClassLabel(names=list(PARTS)),
                "slice": np.int32,
            },
            metadata={"notes": []},
        )

    def pixel_values(self) -> tuple[float, float]:
        """Grey values, or the ends of the window of Hounsfield units."""
        config = self.config
        if config.values != "hounsfield":
            return super().pixel_values()
        half = config.width / 2
        return (config.centre - half, config.centre + half)

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Any]:
        config = self.config
        manual_dir = self.manual_folder(dl_manager)
        places = (".", "lungsegdb", "LungSegDB")
        parts = PARTS if config.part == "both" else (config.part,)
        wanted = [f"{STAGES[config.stage]}/{part}" for part in parts]
        root = find_root(manual_dir, places, wanted, dataset=self.name)
        slices, refused = list_slices(root, config.stage, parts)
        for name, reason in refused:
            self.skip(name, reason)
        values = Values(
            config.values,
            config.centre,
            config.width,
            config.offset,
            config.fractions,
            config.reading(),
        )
        notes = compare(slices, parts)
        if config.groups == "likeness":
            slices = self._by_likeness(slices, values)
        for note in notes:
            logging.warning("lungsegdb: %s", note)
        if self.info.metadata is not None:  # only its type says that it may be
            self.info.metadata["notes"] = notes
        make = partial(make_record, values)
        return {SPLIT: self.examples(slices, make, ahead=2, unit="slices")}

    def _by_likeness(self, slices: list[Slice], values: Values) -> list[Slice]:
        unnamed = {one.image_id: one for one in slices if not one.named}
        groups, refused = groups_by_likeness(
            list(unnamed.values()),
            partial(views, values),
            names=list(unnamed),
        )
        for image_id, reason in refused.items():
            name = unnamed[image_id].name
            self.skip(name, reason.removeprefix(f"{name}: "))
        return [
            one if one.named else replace(one, patient_id=groups[one.image_id])
            for one in slices
            if one.named or one.image_id in groups
        ]
