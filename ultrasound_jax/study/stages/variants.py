"""The classifiers of the second stage: a cross-validation for each kind and margin."""

import copy
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ultrasound_jax import config as configs
from ultrasound_jax import pretrained, starting
from ultrasound_jax import workdir as workdirs
from ultrasound_jax.data import protocols
from ultrasound_jax.data.dataset import open_dataset
from ultrasound_jax.data.manifest import Manifest
from ultrasound_jax.data.source import Source
from ultrasound_jax.datasets.regions.options import USE_WHOLE, RegionsConfig
from ultrasound_jax.predict.binding import check_judged
from ultrasound_jax.predict.stages.errors import StagesError
from ultrasound_jax.predict.stages.segmenter import Segmenter
from ultrasound_jax.predict.stages.two_stage import REGIONS
from ultrasound_jax.runs.files import read_json
from ultrasound_jax.study.crossval import cross_validate, rotated
from ultrasound_jax.study.stages.asked import REFUSE, Asked
from ultrasound_jax.study.stages.cases import SIZE, Cases, same_folds
from ultrasound_jax.types import Settings

Say = Callable[[str], None]


@dataclass(frozen=True)
class Place:
    """The folder of two stages, and what lies in it."""

    folder: Path

    @property
    def cases(self) -> Path:
        """What regions are cut from."""
        return self.folder / "cases"

    @property
    def data(self) -> Path:
        """Of built datasets."""
        return self.folder / "data"

    @property
    def nested(self) -> Path:
        """Of strict segmentations."""
        return self.folder / "nested"

    def run(self, name: str) -> Path:
        """Of a variant's run."""
        return self.folder / name

    def splits(self, name: str) -> Path:
        """The file of a variant's splits."""
        return self.folder / "splits" / f"{name}.json"


def check_same(config: Settings, segmenter: Segmenter) -> None:
    """Refuses a classifier of another dataset, or in other folds.

    Raises:
        StagesError: it names what differs.
    """
    given, own = config.data, segmenter.config.data
    built = segmenter.manifest.built.get("options") or own.options.to_dict()
    pairs = [("data.name", given.name, own.name)]
    pairs += [
        (f"data.options.{name}", value, built[name])
        for name, value in given.options.items()
        if name != SIZE and name in built and given.name == own.name
    ]
    pairs += [("data.folds", given.folds, segmenter.manifest.folds)]
    if given.manifest:
        if Manifest.read(given.manifest).parts != segmenter.manifest.parts:
            pairs += [("data.manifest", given.manifest, segmenter.folder.name)]
    elif segmenter.manifest.seed is not None:
        pairs += [("data.split_seed", given.split_seed, segmenter.manifest.seed)]
    for name, value, wanted in pairs:
        if value != wanted:
            raise StagesError(
                f"the classifier's {name}={value!r}, the segmentation in "
                f"'{segmenter.folder}' has {wanted!r}: both stages have the same cases "
                f"in the same folds; give --set {name}={wanted}"
            )
    if not given.options.get(SIZE):
        raise StagesError(
            f"the classifier's data.options.{SIZE} is not set, allowed is the side of "
            f"the square that regions become: --set data.options.{SIZE}=224"
        )


class Variants:
    """Cross-validates the classifier on regions, variant by variant."""

    def __init__(
        self, cases: Cases, config: Settings, asked: Asked, place: Place, say: Say
    ) -> None:
        self._cases, self._config, self._asked = cases, config, asked
        self._place, self._say = place, say
        side = cases.pictures.spec[cases.pictures.pixels]
        self._pixels = side.batch_shape(cases.pictures.pixels)[0]
        self._start()

    def train(self, name: str, kind: str, margin: int) -> dict[str, Any]:
        """The metrics of a variant, which is trained unless it is done."""
        config = rotated(self._config)
        source = self._on(config, name, self._regions(kind, margin))
        folder = self._place.run(name)
        done = folder / "metrics.json"
        if done.is_file():
            workdirs.check_workdir(config, folder)
            metrics = read_json(done)
            check_judged(folder, metrics)
            self._say(f"{name}: done before")
        else:
            self._say(f"{name}: {len(source)} regions of {config.data.options.size} px")
            metrics = cross_validate(config, folder, of_fold=self._of_fold(name))
        return {"metrics": metrics, "boxes": boxes_of(source)}

    def _regions(self, kind: str, margin: int) -> RegionsConfig:
        asked = self._asked
        return RegionsConfig(
            name="",
            size=self._config.data.options[SIZE],
            kind=kind,
            margin=margin,
            part=asked.part,
            shape=asked.shape,
            nothing=USE_WHOLE if asked.nothing == REFUSE else asked.nothing,
            pixels=self._pixels,
            of=self._cases.segmenter.config.data.name,
        )

    def _on(self, config: Settings, name: str, how: RegionsConfig) -> Source:
        """Sets a configuration on regions, in the segmentation's folds."""
        options = {key: getattr(how, key) for key in RegionsConfig.options()}
        with config.data.unlocked():
            config.data.options = options
        config.data.name = REGIONS
        config.data.data_dir = str(self._place.data)
        config.data.manual_dir = str(self._place.cases)
        config.data.manifest = config.data.manifest_out = ""
        config.init_from = self._config.init_from
        source = open_dataset(config.data, self._say)
        path = self._place.splits(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        same_folds(self._cases, source.table).write(path)
        config.data.manifest = str(path)
        return source

    def _of_fold(self, name: str) -> Callable[[Settings], object]:
        """What gives each fold the strict masks of its own, if they are asked for."""

        def change(own: Settings) -> None:
            fold = own.data.fold
            how = RegionsConfig(name="", **own.data.options.to_dict())
            self._on(own, f"{name}_{fold}", replace(how, outer=fold))
            own.data.fold = fold

        return change if self._asked.strict else lambda own: None

    def _start(self) -> None:
        """Refuses weights to start from that have seen a case that they would judge.

        Regions have a dataset's name of their own; whom weights have seen is told of
        the dataset that the pictures are from.
        """
        config, cases = self._config, self._cases
        if not config.init_from:
            return
        for fold in range(cases.segmenter.manifest.folds):
            own = copy.deepcopy(config)
            own.data.fold = fold
            start = pretrained.named_start(own, self._say)
            if start is None:
                return
            indices = protocols.assign(
                cases.segmenter.manifest, cases.table, protocol="rotation", fold=fold
            )
            data = cases.segmenter.config.data
            starting.check_unseen(start, data, cases.table, indices, self._say)


def boxes_of(source: Source) -> dict[str, Any]:
    """Medians and quartiles of the regions' sides, and how many are whole pictures."""
    found = [source.records[i] for i in range(len(source))]
    boxes = np.array([record["box"] for record in found], float)
    told = np.array(source.table.groups["found"]) == "yes"
    sides: dict[str, Any] = {"whole_for_nothing": int((~told).sum())}
    for name, column in (("height", 2), ("width", 3)):
        values = boxes[told, column]
        quartiles = np.percentile(values, (25, 50, 75)) if len(values) else []
        sides[name] = [float(value) for value in quartiles]
    return sides


def read_classifier(file: str, changes: list[str]) -> Settings:
    """The settings of a classifier, changed as the command line says.

    Raises:
        ConfigError: there is no such file or setting.
        StagesError: it is no classification by a network.
    """
    config = configs.load(file)
    configs.override(config, changes)
    task = config.task.name
    if task in ("segmentation", "reconstruction") or config.radiomics.features:
        what = f"config.radiomics.features={config.radiomics.features!r}"
        told = what if config.radiomics.features else f"the task {task}"
        raise StagesError(
            f"--classifier-config {file} has {told}, allowed is a network that "
            "classifies; --kinds radiomics_true radiomics_found are radiomics"
        )
    return config


def told(asked: Asked, segmenter: Segmenter, digest: str) -> dict[str, Any]:
    """What of a folder may not change while it goes on: see `asked.claim`."""
    free = {"kinds", "margins"}
    kept = {key: value for key, value in asdict(asked).items() if key not in free}
    return kept | {"segmenter": segmenter.folder.name, "predictions_sha256": digest}
