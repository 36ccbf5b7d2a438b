"""The maps of a run's images beside the regions that people outlined, judged."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from ultrasound_jax.analysis.judge import map_agreement as agreements
from ultrasound_jax.analysis.judge.map_agreement import MEASURES, NULLS
from ultrasound_jax.analysis.judge.map_verdict import judge_maps
from ultrasound_jax.experiment import Experiment
from ultrasound_jax.explain.errors import ExplainError
from ultrasound_jax.explain.see.image_maps import (
    PREDICTED,
    Look,
    SeenImage,
    open_trained,
    see_images,
    true_class,
)
from ultrasound_jax.explain.see.regions import Regions, read_regions

OF_PREDICTED, OF_TRUE = "predicted", "true"
NO_CLASS = "not of exactly one class"


@dataclass(frozen=True)
class Asked:
    """What is to be judged.

    masks: the folder of regions; None for the dataset's. split: `train`, `validation`
    or `test`. of_class: whose map, OF_PREDICTED, OF_TRUE or a class's name. method,
    stage: see `image_maps.make_look`. seed: of what is drawn.
    """

    masks: Path | None = None
    split: str = "test"
    of_class: str = OF_PREDICTED
    method: str | None = None
    stage: int | None = None
    seed: int = 0


@dataclass(frozen=True, eq=False)
class JudgedMaps:
    """The images of a run with their regions, and how well its maps agree with them.

    experiment, look: of the run, or of the first fold of a cross-validation. marks,
    own, nulls: of each of `seen`; see `map_agreement`.
    """

    asked: Asked
    experiment: Experiment = field(repr=False)
    look: Look
    regions: Regions
    seen: tuple[SeenImage, ...] = field(repr=False)
    marks: tuple[agreements.Marks, ...] = field(repr=False)
    own: Float[np.ndarray, "n measure"] = field(repr=False)
    nulls: Mapping[str, Float[np.ndarray, "n measure"]] = field(repr=False)

    @property
    def outlined(self) -> list[Bool[np.ndarray, "h w"]]:
        """The region of each image."""
        return [self.regions.marked[one.place] for one in self.seen]

    def tree(self, of: int | None = None) -> dict[str, Any]:
        """The judgement of all images, or of those of one class."""
        rows = [i for i, one in enumerate(self.seen) if of is None or one.truth == of]
        patient = _patients(self.seen)[rows]
        nulls = {name: self.nulls[name][rows] for name in NULLS}
        return judge_maps(self.own[rows], nulls, patient)

    def by_class(self) -> dict[str, dict[str, Any]]:
        """The judgement of the images of each class."""
        there = {one.truth for one in self.seen}
        classes = self.experiment.task.classes
        return {name: self.tree(k) for k, name in enumerate(classes) if k in there}

    def rows(self) -> list[tuple[Any, ...]]:
        """The table of examples, its heading first."""
        classes = self.experiment.task.classes
        head = ["example_id", "patient_id", "class", "predicted", "map_of", "score"]
        head += ["region_share", "area_share", *MEASURES]
        head += [f"{measure}_{null}" for null in NULLS for measure in MEASURES]
        rows: list[tuple[Any, ...]] = [tuple(head)]
        together = (self.seen, self.outlined, self.marks, self.own)
        for i, (one, region, marks, own) in enumerate(zip(*together, strict=True)):
            truth = None if one.truth is None else classes[one.truth]
            ids = (one.example_id, one.patient_id, truth, classes[one.predicted])
            shares = (one.score, region.mean(), marks.area.mean())
            chance = [self.nulls[null][i] for null in NULLS]
            numbers = np.concatenate([shares, own, *chance])
            rows.append((*ids, classes[one.chosen], *(f"{n:.6g}" for n in numbers)))
        return rows


def judge_run(folder: Path, asked: Asked, say: Callable[[str], None]) -> JudgedMaps:
    """Looks at the examples of a run, or of each fold of a cross-validation.

    Raises:
        UltrasoundError: no such run, region, class or stage, or a run on clips.
    """
    return judge(
        [
            open_trained(part, say, method=asked.method, stage=asked.stage)
            for part in _parts(folder)
        ],
        asked,
    )


def judge(parts: Sequence[tuple[Experiment, Look]], asked: Asked) -> JudgedMaps:
    """Looks at the examples that each network has in a split, all of one dataset.

    Raises:
        UltrasoundError: no such region or class, or no example.
    """
    first, look = parts[0]
    allowed = (OF_PREDICTED, OF_TRUE, *first.task.classes)
    if asked.of_class not in allowed:
        raise ExplainError(
            f"--class {asked.of_class!r}: allowed are {', '.join(allowed)}"
        )
    places = np.concatenate([one.indices[asked.split] for one, _ in parts])
    if not len(places):
        raise ExplainError(f"--split {asked.split}: the run has no such examples")
    regions = read_regions(first.source, places.tolist(), asked.masks)
    chosen = _chosen(first, regions, asked.of_class)
    seen = []
    for experiment, own_look in parts:
        mine = [p for p in experiment.indices[asked.split].tolist() if p in chosen]
        seen += see_images(experiment, own_look, mine, [chosen[p] for p in mine])
    if not seen:
        raise ExplainError("--class true: no example with a region is of one class")
    marks = [agreements.marks_of(one.values) for one in seen]
    outlined = [regions.marked[one.place] for one in seen]
    own, nulls = _agreement(marks, outlined, _patients(seen), asked.seed)
    return JudgedMaps(
        asked, first, look, regions, tuple(seen), tuple(marks), own, nulls
    )


def _parts(folder: Path) -> list[Path]:
    """The folder itself; of a cross-validation its folds, which have the weights."""
    if (folder / "checkpoints").is_dir():
        return [folder]
    return sorted(p.parent for p in folder.glob("fold_*/checkpoints")) or [folder]


def _chosen(experiment: Experiment, regions: Regions, of_class: str) -> dict[int, int]:
    """The examples with a region, and the class whose map is wanted of each.

    What is not of one class has no map of the true one, and is left out.
    """
    classes, table = experiment.task.classes, experiment.source.table
    if of_class == OF_PREDICTED:
        return dict.fromkeys(regions.marked, PREDICTED)
    if of_class != OF_TRUE:
        return dict.fromkeys(regions.marked, classes.index(of_class))
    found = {}
    for place in regions.marked:
        truth = true_class(table.labels[place])
        if truth is None:
            regions.left_out[table.example_id[place]] = NO_CLASS
        else:
            found[place] = truth
    return found


def _patients(seen: Sequence[SeenImage]) -> np.ndarray:
    """Each image's patient as a number."""
    names = np.array([one.patient_id for one in seen])
    return np.unique(names, return_inverse=True)[1]


def _agreement(
    marks: list[agreements.Marks],
    regions: list[Bool[np.ndarray, "h w"]],
    patient: np.ndarray,
    seed: int,
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """MEASURES of each map, and of each null."""
    pairs = list(zip(marks, regions, strict=True))
    own = np.stack([agreements.agreement(*pair) for pair in pairs])
    nulls = agreements.nulls_of_others(marks, regions, patient, seed=seed)
    alone = [agreements.nulls_alone(*pair) for pair in pairs]
    nulls |= {name: np.stack([one[name] for one in alone]) for name in alone[0]}
    return own, nulls
