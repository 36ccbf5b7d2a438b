"""Segmentations that have seen nothing of two folds, for a classifier that is judged.

Out of fold, the mask of a training case is of a network that never saw that case, but
that trained on pictures and masks of the fold that the classifier is judged on. Strict
masks are not: where fold `k` is judged, a case of fold `j` has its mask of a network
that saw neither `j` nor `k`. One network serves both, so that K folds take K(K-1)/2
further trainings, each on K-3 folds, selected on one.
"""

import copy
import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from ultrasound_jax.analysis.table.inputs import open_run as open_table
from ultrasound_jax.analysis.table.mask_table import MaskTable
from ultrasound_jax.data.manifest import TEST, Manifest, Part, fold_name
from ultrasound_jax.predict.stages.errors import StagesError
from ultrasound_jax.predict.stages.segmenter import Segmenter, read_mask
from ultrasound_jax.train import train_and_evaluate
from ultrasound_jax.types import Settings

FEWEST = 4  # two are unseen, one selects, one trains


def check_folds(segmenter: Segmenter) -> None:
    """Refuses too few folds.

    Raises:
        StagesError: two would be unseen, and not two be left.
    """
    if segmenter.manifest.folds < FEWEST:
        raise StagesError(
            f"--strict takes {FEWEST} folds or more, two of which a network has not "
            f"seen; '{segmenter.folder}' has {segmenter.manifest.folds}"
        )


def train_pairs(
    segmenter: Segmenter,
    where: Settings,
    manifest: Manifest,
    folder: Path,
    say: Callable[[str], None],
) -> None:
    """Trains the network of each pair of folds in `folder/<j>_<k>`; done ones stay.

    Args:
        segmenter: whose settings they are.
        where: `config.data` with today's folders.
        manifest: the segmenter's.
        folder: of the pairs.
        say: told which is trained.
    """
    pairs = list(itertools.combinations(range(manifest.folds), 2))
    for number, (j, k) in enumerate(pairs, 1):
        place = folder / f"{j}_{k}"
        if (place / "metrics.json").is_file():
            continue
        say(f"strict: network {number} of {len(pairs)}, without folds {j} and {k}")
        splits, validates = without(manifest, j, k)
        path = folder / f"{j}_{k}.splits.json"
        splits.write(path)
        config = copy.deepcopy(segmenter.config)
        config.data = copy.deepcopy(where)
        config.data.protocol, config.data.manifest = "holdout", str(path)
        config.data.folds, config.data.fold = splits.folds, validates
        train_and_evaluate(config, place)


def without(manifest: Manifest, j: int, k: int) -> tuple[Manifest, int]:
    """Splits that hold folds `j` and `k` out as test, and which fold validates.

    That is the one that follows `k` among the rest.
    """
    left = [f for f in range(manifest.folds) if f not in (j, k)]
    held = [manifest.parts[fold_name(f)] for f in (j, k)]
    parts = {
        TEST: Part(
            tuple(sorted(p for part in held for p in part.patients)),
            tuple(sorted(e for part in held for e in part.examples)),
        )
    }
    parts |= {fold_name(n): manifest.parts[fold_name(f)] for n, f in enumerate(left)}
    validates = next((n for n, f in enumerate(left) if f > k), 0)
    return replace(manifest, seed=None, parts=parts, counts={}), validates


def strict_mask(
    segmenter: Segmenter, folder: Path, outer: int
) -> Callable[[str], UInt8[np.ndarray, "h w"]]:
    """What gives the mask of an example where a fold is judged.

    Args:
        segmenter: whose own masks those of the judged fold are.
        folder: of the pairs.
        outer: the judged fold.

    Raises:
        StagesError: a network has seen an example whose mask is asked of it.
    """
    tables = {}
    for other in range(segmenter.manifest.folds):
        if other != outer:
            j, k = sorted((outer, other))
            tables[other] = _masks(folder / f"{j}_{k}", segmenter.manifest, j, k)

    def mask(example: str) -> UInt8[np.ndarray, "h w"]:
        fold = segmenter.fold_of[example]
        if fold == outer:
            return segmenter.mask(example)
        return read_mask(*tables[fold][example])

    return mask


def _masks(
    folder: Path, manifest: Manifest, j: int, k: int
) -> dict[str, tuple[Path, int]]:
    """Example -> file and marked pixels, of the test part of a pair's network."""
    held = {e for f in (j, k) for e in manifest.parts[fold_name(f)].examples}
    parts = Manifest.read(folder / "splits.json").parts
    if {*parts[TEST].examples} != held:
        raise StagesError(f"'{folder}' was not trained without folds {j} and {k}")
    table = open_table(folder).predictions
    if not isinstance(table, MaskTable):
        raise StagesError(f"'{folder}' holds {table.kind}, allowed is a segmentation")
    rows = table.of_split("test")
    counts = (rows.tp + rows.fp).sum(axis=1).tolist()
    found = zip(rows.example_id, rows.mask_file, counts, strict=True)
    return {name: (folder / file, count) for name, file, count in found}
