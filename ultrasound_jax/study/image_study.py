"""The study of images: its jobs, in order of value.

Pretrained encoders against their own probe, on BUSI and on POCUS; networks against
augmentations; a split by image against one by group; and how well it all does
elsewhere. `experiments/images_study.py` is its command.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ultrasound_jax.augment import _policy_file
from ultrasound_jax.augment.search.space import Space
from ultrasound_jax.study import estimate, policy_search
from ultrasound_jax.study.crossval import cross_validate, rotated, worth_keeping
from ultrasound_jax.study.image_recipes import (
    AUGMENTS,
    FULL,
    NETWORKS,
    POLICIES,
    SHRUNK,
    Recipes,
    Sizes,
    Where,
    sizes_of,
)
from ultrasound_jax.study.jobs import Job
from ultrasound_jax.study.judged import beside, elsewhere, mirrored, of_crossval
from ultrasound_jax.study.probe import probe
from ultrasound_jax.train import train_and_evaluate
from ultrasound_jax.training.one_writer import one_writer
from ultrasound_jax.types import Settings

__all__ = ["FULL", "SHRUNK", "ImageStudy", "Where"]

PARTS = {
    "frozen": "nothing of the encoder trained",
    "last": "the encoder's last stages trained",
    "whole": "all of the encoder trained",
}
WORDS = {
    "none": "no augmentation",
    "flip_rotate": "flips and rotations",
    "trivial": "TrivialAugment",
    "fast": "policies of Fast AutoAugment, searched for each fold",
    "random": "policies that nobody chose",
}
SEARCH = "search_"


@dataclass(frozen=True)
class Training:
    """A cross-validation: its settings, what it is compared with, what comes first."""

    about: str
    config: Settings
    references: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    begin: Callable[[], object] = lambda: None


class ImageStudy:
    """All jobs of the study, for some sizes and places."""

    def __init__(self, where: Where, sizes: Sizes) -> None:
        self._where, self._sizes = where, sizes
        self._recipes = Recipes(where, sizes)
        self._trainings = self._fine_tuned() | self._table() | self._by_image()

    @property
    def cache(self) -> str:
        """Where compiled steps are kept."""
        return self._recipes.busi().compilation_cache

    def jobs(self) -> list[Job]:
        """Every job, the most telling first."""
        recipes = self._recipes
        by_image = self._on_images(recipes.busi())
        probes = {
            "busi_probe": ("a linear probe of the encoder", recipes.busi()),
            "pocus_probe": ("a linear probe of the encoder", recipes.pocus()),
            "by_image_probe": ("the probe, split by image", by_image),
        }
        found = {n: self._probed(n, *given) for n, given in probes.items()}
        searches = [self._searched(name) for name in NETWORKS]
        found |= {job.name: job for job in searches}
        for name, training in self._trainings.items():
            found[name] = self._trained(name, training)
        judged = ("busi_last", "busi_whole", "pocus_vote_last", "pocus_luvnet_last")
        for name in judged:
            found[f"elsewhere_{name}"] = self._elsewhere(name)
        for name in ("busi_last", "pocus_vote_last"):
            found[f"{name}_mirrored"] = self._mirrored(name)
        return [found[name] for name in self._order(found)]

    def minutes(
        self, names: Sequence[str], say: Callable[[str], None]
    ) -> dict[str, float]:
        """Measured minutes of those that train, by a few steps of each."""
        found = {}
        for name in names:
            training = self._trainings.get(name)
            search = name.removeprefix(SEARCH)
            if training is None and search not in NETWORKS:
                continue
            given = training.config if training else self._recipes.search(search)
            config = copy.deepcopy(given)
            if any(one["name"] == "policy" for one in config.augment):
                config.augment = [{"name": "trivial_augment"}]  # of about its price
            if not Path(config.init_from).is_file():
                config.init_from = self._where.weights  # of the same shape
                config.init_part = "encoder"
            told = estimate.of_run(rotated(config))
            runs = config.data.folds
            if training is None:  # children have a part of the training examples each
                preset = self._sizes.preset
                runs *= preset.inner * (1 - 1 / preset.inner)
            found[name] = round(runs * told["run_s"] / 60, 1)
            say(f"{name}: {told['step_s']:.2f} s a step, {found[name]} minutes")
        return found

    def _order(self, names: Any) -> list[str]:
        first = ("busi_probe", "busi_head", "busi_last", "busi_whole", "busi_frozen")
        first += ("pocus_probe", "pocus_vote_head", "pocus_vote_last")
        first += ("pocus_luvnet_frozen",)
        first += ("busi_last_mirrored", "pocus_vote_last_mirrored")
        first += ("elsewhere_busi_last", "elsewhere_pocus_vote_last")
        plain = [f"table_{n}_{a}" for n in NETWORKS for a in AUGMENTS]
        plain = [name for name in plain if not name.endswith(POLICIES)]
        split = ["by_image_probe", *(f"by_image_{n}" for n in NETWORKS)]
        searched = [
            name
            for n in NETWORKS
            for name in (SEARCH + n, *(f"table_{n}_{a}" for a in POLICIES[::-1]))
        ]
        listed = [*first, *plain, *split, *searched]
        return listed + [name for name in names if name not in listed]

    def _fine_tuned(self) -> dict[str, Training]:
        recipes, found = self._recipes, {}
        for part, words in PARTS.items():
            tuned = recipes.tuned(recipes.busi(), part)
            found[f"busi_{part}"] = Training(words, tuned, ("busi_probe",))
            for name, network in (("vote", "frame_vote"), ("luvnet", "luvnet")):
                tuned = recipes.tuned(recipes.pocus(network), part)
                about = f"{network}, {words}"
                found[f"pocus_{name}_{part}"] = Training(about, tuned, ("pocus_probe",))
        about = "from the probe's own head, the last stages trained"
        for name, first, config in (
            ("busi_head", "busi_probe", recipes.busi()),
            ("pocus_vote_head", "pocus_probe", recipes.pocus()),
        ):
            found[name] = Training(about, recipes.headed(config, first), (first,))
        started = recipes.tuned(recipes.busi(), "last")
        folder = self._where.out / "phantom"
        started.init_from = str(folder)
        found["busi_phantom_last"] = Training(
            "from ImageNet by way of the phantom, the last stages trained",
            started,
            ("busi_probe",),
            begin=lambda: self._on_the_phantom(folder),
        )
        return found

    def _table(self) -> dict[str, Training]:
        found = {}
        for network in NETWORKS:
            for augment in AUGMENTS:
                beside = [] if augment == "none" else ["none"]
                beside += ["random"] if augment == "fast" else []
                found[f"table_{network}_{augment}"] = Training(
                    f"{network}, {WORDS[augment]}",
                    self._recipes.table(network, augment),
                    tuple(f"table_{network}_{one}" for one in beside),
                    (SEARCH + network,) if augment in POLICIES else (),
                )
        return found

    def _by_image(self) -> dict[str, Training]:
        return {
            f"by_image_{network}": Training(
                f"{network} as in the table, split by image",
                self._recipes.table(network, "none", by_image=True),
            )
            for network in NETWORKS
        }

    def _on_images(self, config: Settings) -> Settings:
        if not self._sizes.phantoms:
            with config.data.options.unlocked():
                config.data.options.by_image = True
        return config

    def _on_the_phantom(self, folder: Path) -> None:
        if not (folder / "metrics.json").exists():
            config = self._recipes.phantom()
            train_and_evaluate(_holdout(config), folder)

    def _probed(self, name: str, about: str, config: Settings) -> Job:
        def work(folder: Path) -> dict[str, Any]:
            metrics = probe(rotated(config), folder)
            found = worth_keeping(metrics, "probe")
            found["judged"] = found.pop("run")
            return found | beside(folder)

        sizes = sizes_of(config)
        kept = {key: sizes[key] for key in ("data", "pixels", "network")}
        if "frames" in sizes:
            kept["frames"] = config.probe.frames
        return Job(name, about, kept, work)

    def _trained(self, name: str, training: Training) -> Job:
        def work(folder: Path) -> dict[str, Any]:
            training.begin()
            metrics = cross_validate(rotated(training.config), folder)
            places = [folder.with_name(one) for one in training.references]
            return of_crossval(metrics, folder, references=places)

        needs = (*training.needs, *training.references)
        return Job(name, training.about, sizes_of(training.config), work, needs)

    def _searched(self, network: str) -> Job:
        """Policies of every fold, searched and at random, as files for the table."""
        config, preset = self._recipes.search(network), self._sizes.preset

        def work(folder: Path) -> dict[str, Any]:
            own = rotated(config)
            how = policy_search.Search(
                preset, Space(("fast",), preset.sub_policies), folder
            )
            folds = range(own.data.folds)
            folder.mkdir(parents=True, exist_ok=True)
            with one_writer(folder):
                searched = policy_search.search(copy.deepcopy(own), how, [*folds])
            count = self._sizes.random
            drawn = policy_search.at_random(own, how.space, count, [*folds])
            for name, content in (("fast", searched), ("random", drawn)):
                _policy_file.write(self._recipes.policy(network, name), content)
            return {"policies": searched}

        sizes = sizes_of(config) | {
            "children a fold": preset.inner,
            "candidates": preset.trials,
            "random": self._sizes.random,
        }
        about = f"policies for {network}: Fast AutoAugment in every outer fold"
        return Job(SEARCH + network, about, sizes, work)

    def _mirrored(self, name: str) -> Job:
        config, data_dir = self._trainings[name].config, self._where.data_dir

        def work(folder: Path) -> dict[str, Any]:
            run = folder.with_name(name)
            folds = config.data.folds
            return mirrored(run, folder, folds=folds, data_dir=data_dir)

        about = f"{name}, averaged over pictures and their mirror images"
        return Job(f"{name}_mirrored", about, sizes_of(config), work, (name,))

    def _elsewhere(self, name: str) -> Job:
        which = "breasts" if name.startswith("busi") else "lungs"
        given = self._where.breasts if which == "breasts" else self._where.lungs
        data = dict(given or self._sizes.elsewhere[which])
        folds = self._trainings[name].config.data.folds

        def work(folder: Path) -> dict[str, Any]:
            run, data_dir = folder.with_name(name), self._where.data_dir
            return elsewhere(run, folder, folds=folds, data=data, data_dir=data_dir)

        told = {"run": name, "data": data.get("name", "")}
        return Job(f"elsewhere_{name}", f"{name} on another set", told, work, (name,))


def _holdout(config: Settings) -> Settings:
    """Checked and completed, with a test part of its own."""
    own = rotated(config)
    own.data.protocol, own.data.test_fraction = "holdout", 0.2
    return own
