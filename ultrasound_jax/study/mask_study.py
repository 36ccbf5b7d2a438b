"""The study of masks: its jobs, in order of value.

Networks on the lesions of BUSI and on the lungs of CT slices, each against the first of
its kind, and how well lungs are found in another set. `experiments/masks_study.py` is
its command.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ultrasound_jax.runs.files import read_json
from ultrasound_jax.study import estimate
from ultrasound_jax.study.crossval import cross_validate, rotated
from ultrasound_jax.study.jobs import Job
from ultrasound_jax.study.judged import elsewhere, mirrored, of_crossval
from ultrasound_jax.study.mask_recipes import (
    FULL,
    LESIONS,
    LUNGS,
    SHRUNK,
    MaskRecipes,
    Sizes,
    Where,
)
from ultrasound_jax.study.stages import command
from ultrasound_jax.types import Settings

__all__ = ["FULL", "SHRUNK", "MaskStudy", "Where"]

BEST = "encoder"  # the network whose variants are tried, and whose masks cut regions


@dataclass(frozen=True)
class Training:
    """A cross-validation: what it is, its settings, what it is compared with."""

    about: str
    config: Settings
    references: tuple[str, ...] = ()


class MaskStudy:
    """All jobs of the study, for some sizes and places."""

    def __init__(self, where: Where, sizes: Sizes) -> None:
        self._where, self._recipes = where, MaskRecipes(where, sizes)
        self._trainings = self._lesions() | self._lungs()

    @property
    def cache(self) -> str:
        """Where compiled steps are kept."""
        return self._recipes.lesions(BEST).compilation_cache

    def jobs(self) -> list[Job]:
        """Every job, the most telling first."""
        found = {name: self._trained(name, t) for name, t in self._trainings.items()}
        found["busi_mirrored"] = self._mirrored(f"busi_{BEST}")
        found["stages"] = self._stages(f"busi_{BEST}")
        for network in LUNGS:
            found[f"elsewhere_{network}"] = self._elsewhere(f"lungs_{network}")
        first = (f"busi_{BEST}", "busi_unet", "busi_segnet", "busi_mirrored")
        first += ("lungs_unet", "elsewhere_unet", "lungs_fusionlungnet", "stages")
        return [found[n] for n in (*first, *(n for n in found if n not in first))]

    def minutes(
        self, names: Sequence[str], say: Callable[[str], None]
    ) -> dict[str, float]:
        """Measured minutes of those that train, by a few steps of each."""
        found = {}
        for name in names:
            if name not in self._trainings:
                continue
            config = copy.deepcopy(self._trainings[name].config)
            told = estimate.of_run(rotated(config))
            found[name] = round(config.data.folds * told["run_s"] / 60, 1)
            say(f"{name}: {told['step_s']:.2f} s a step, {found[name]} minutes")
        return found

    def _lesions(self) -> dict[str, Training]:
        found = {}
        for network, (_, words) in LESIONS.items():
            others = () if network == BEST else (f"busi_{BEST}",)
            config = self._recipes.lesions(network)
            found[f"busi_{network}"] = Training(words, config, others)
        found["busi_bfloat16"] = Training(
            f"{LESIONS[BEST][1]}, computed in bfloat16",
            self._recipes.halved(BEST),
            (f"busi_{BEST}",),
        )
        return found

    def _lungs(self) -> dict[str, Training]:
        return {
            f"lungs_{network}": Training(
                words,
                self._recipes.lungs(network),
                () if network == "unet" else ("lungs_unet",),
            )
            for network, (_, words) in LUNGS.items()
        }

    def _trained(self, name: str, training: Training) -> Job:
        def work(folder: Path) -> Mapping[str, Any]:
            metrics = cross_validate(rotated(training.config), folder)
            places = [folder.with_name(one) for one in training.references]
            return of_crossval(metrics, folder, references=places)

        sizes = sizes_of(training.config)
        return Job(name, training.about, sizes, work, training.references)

    def _mirrored(self, name: str) -> Job:
        training, data_dir = self._trainings[name], self._where.data_dir

        def work(folder: Path) -> Mapping[str, Any]:
            folds = training.config.data.folds
            run = folder.with_name(name)
            return mirrored(run, folder, folds=folds, data_dir=data_dir)

        about = f"{training.about}, averaged over pictures and their mirror images"
        return Job("busi_mirrored", about, sizes_of(training.config), work, (name,))

    def _stages(self, name: str) -> Job:
        def work(folder: Path) -> Mapping[str, Any]:
            words = self._recipes.two_stages(folder.with_name(name), folder)
            command.run(command.parsed(words))
            found = read_json(folder / "stages.json")
            # The file of results has its own; which run it was is this machine's.
            return {key: found[key] for key in found if key != "run"}

        config, sizes = self._trainings[name].config, self._recipes.sizes.regions
        told = {"data": config.data.name, "classes": "benign malignant"}
        told |= {key.rpartition(".")[2]: value for key, value in sizes.items()}
        about = "regions that were found, classified, beside whole pictures"
        return Job("stages", about, told, work, (name,))

    def _elsewhere(self, name: str) -> Job:
        folds = self._trainings[name].config.data.folds
        data, data_dir = self._recipes.other_lungs(), self._where.data_dir

        def work(folder: Path) -> Mapping[str, Any]:
            run = folder.with_name(name)
            return elsewhere(
                run,
                folder,
                folds=folds,
                data=data,
                data_dir=data_dir,
                number="mean_dice",
            )

        told = {"run": name, "data": data["name"]}
        network = name.removeprefix("lungs_")
        about = f"{name} on another set"
        return Job(f"elsewhere_{network}", about, told, work, (name,))


def sizes_of(config: Settings) -> dict[str, Any]:
    """What a reader must know of how large a job is."""
    network = config.model.options.to_dict()
    words = [config.model.name, network.get("encoder"), network.get("width")]
    return {
        "data": config.data.name,
        "pixels": config.data.options.size,
        "network": " ".join(str(word) for word in words if word is not None),
        "epochs": config.train.epochs,
        "batch": config.data.batch_size,
        "rate": config.optim.lr,
        "encoder rate": config.optim.encoder_rate,
        "computed in": config.dtype,
        "augment": " ".join(one["name"] for one in config.augment) or "none",
    }
