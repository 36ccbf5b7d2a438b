"""Searches a policy for `config.augment`: Fast AutoAugment, by density matching.

    python -m ultrasound_jax.augment.search --config configs/busi.py \\
        --config.data.manual_dir=DIR --preset small --crossval --out policy.json

The training patients of the fold are dealt into parts. A network is trained without
augmentation on all parts but one, by the program's own loop, and judges candidates on
the one that it has not seen: a candidate is good if the examples that it changes are
still known. Those it is best at go into the policy, which is used by

    --config.augment='[{"name": "policy", "file": "policy.json"}]'

What the fold validates and tests on takes no part, so that a fold of a cross-validation
has a policy of its own: `--crossval` searches them all, into one file. Without it, it
is `config.data.fold`. `--random N` writes N sub-policies of the same space that nobody
chose, without any training: what a search has to be better than. All that is known lies
in `--workdir`; a search that was killed goes on from there by the same command.
"""

import argparse
import copy
import dataclasses
import json
import math
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jax

from ultrasound_jax import augment
from ultrasound_jax import config as settings
from ultrasound_jax import workdir as workdirs
from ultrasound_jax.augment import AugmentError, _policy_file, primitives
from ultrasound_jax.augment.search.estimator import propose
from ultrasound_jax.augment.search.presets import PRESETS, Preset, preset
from ultrasound_jax.augment.search.space import Space, SubPolicy
from ultrasound_jax.config import ConfigError
from ultrasound_jax.experiment import Experiment
from ultrasound_jax.predict import model_file
from ultrasound_jax.pretrained import open_experiment
from ultrasound_jax.runs import cli
from ultrasound_jax.runs.files import write_whole
from ultrasound_jax.runs.json_text import strictly_parsed
from ultrasound_jax.study.density import Density
from ultrasound_jax.study.inner_folds import Split, inner_folds
from ultrasound_jax.train import Loop, train
from ultrasound_jax.training import compiled, compiling, optim
from ultrasound_jax.training.checkpoint import Checkpoints
from ultrasound_jax.training.console import Console, Stopwatch
from ultrasound_jax.training.one_writer import one_writer
from ultrasound_jax.types import ArrayTree, Settings

AT_ONCE = 10  # candidates a call
STEP = 7919  # between the seeds of folds, children and rounds: a prime beyond them


@dataclass(frozen=True)
class Search:
    """How a policy is searched, and where all that is known of it lies."""

    preset: Preset
    space: Space
    folder: Path
    at_once: int = AT_ONCE


def search(config: Settings, how: Search, folds: Sequence[int]) -> dict[str, Any]:
    """The policy of these folds: what `config.augment`'s `policy` takes as its file.

    Raises:
        AugmentError, ConfigError: the folder holds another search.
        SplitError: there are too few patients to be dealt into parts.
    """
    console, clock, found, told = Console(), Stopwatch(), {}, {}
    facts: dict[str, str] = {}
    for fold in folds:
        own = copy.deepcopy(config)
        own.data.fold = fold
        with clock.of("opening"):
            experiment = open_experiment(own, console.say)
        told_folds = f" of {', '.join(map(str, folds))}" if len(folds) > 1 else ""
        console.say(f"searching a policy for fold {fold}{told_folds}")
        facts = facts or model_file.facts_of(experiment)
        of_fold = FoldSearch(experiment, how, how.folder / f"fold_{fold}", clock)
        found[str(fold)], told[str(fold)] = of_fold.run(console)
    about = asdict(how.preset) | {"children": told, "at_once": how.at_once}
    return {
        "ranges": list(how.space.ranges),
        "split": _policy_file.split_of(config.data),
        "folds": found,
        "about": about | {"run": facts | {"seconds": clock.rounded()}},
    }


class FoldSearch:
    """The search of one fold: networks of the inner parts, and what each prefers."""

    def __init__(
        self, experiment: Experiment, how: Search, folder: Path, clock: Stopwatch
    ) -> None:
        config = experiment.config
        config.augment = []  # as published; what it saw changed, it would know changed
        self._experiment, self._how, self._folder = experiment, how, folder
        self._clock = clock
        self._step: Callable | None = None
        self._density = Density(
            experiment, how.space, at_once=how.at_once, seed=config.seed
        )

    def run(self, console: Console) -> tuple[list[SubPolicy], list[dict[str, Any]]]:
        """The sub-policies, and what each network's best candidates reached."""
        found: list[SubPolicy] = []
        told = []
        splits = inner_folds(self._experiment, self._how.preset.inner)
        for child, split in enumerate(splits):
            folder = self._folder / f"child_{child}"
            console.say(
                f"{folder}: {len(split['train'])} examples train, "
                f"{len(split['validation'])} judge"
            )
            for number in range(self._how.preset.rounds):
                path = folder / f"trials_{number}.json"
                trials = Trials(self._how, path, self._seed(child, number))
                if not trials.finished:
                    weights = self._trained(split, folder, console)
                    self._judge(weights, split, trials, console)
                best = trials.best(self._how.preset.keep)
                found += [sub for candidate, _ in best for sub in candidate]
                losses = [loss for _, loss in best]
                told.append({"unchanged": trials.unchanged, "best": losses})
            shutil.rmtree(folder / "checkpoints", ignore_errors=True)
        return found, told

    def _seed(self, child: int, number: int) -> int:
        sizes, config = self._how.preset, self._experiment.config
        place = (config.data.fold * sizes.inner + child) * sizes.rounds + number
        return config.seed + STEP * place

    def _trained(self, split: Split, folder: Path, console: Console) -> ArrayTree:
        """The best weights of a network, trained or as they lie in its folder."""
        child = dataclasses.replace(self._experiment, indices=split)
        # Compiled once for all children, who differ in their examples alone.
        vars(child)["eval_step"] = self._experiment.eval_step
        plan = optim.make_plan(child.config, len(child.indices["train"]))
        state = compiled.initial_state(child, plan.optimizer)
        if self._step is None:
            with self._clock.of("compile"):
                self._step = compiled.train_step(
                    child,
                    plan.optimizer,
                    state,
                    augment=augment.build([]),
                    say=console.say,
                )
        workdirs.claim_workdir(child.config, folder)
        with Checkpoints(folder / "checkpoints", say=console.say) as checkpoints:
            loop = Loop(child, plan, self._step, folder, console, Stopwatch())
            with self._clock.of("training"):
                return train(loop, state, checkpoints).weights

    def _judge(
        self, weights: ArrayTree, split: Split, trials: "Trials", console: Console
    ) -> None:
        """Asks for candidates, judges and writes them, until there are enough."""
        held = self._density.held(split["validation"])
        with self._clock.of("judging"):
            if trials.unchanged is None:
                nothing = [[[self._how.space.names[0], 0.0, 0.0]]]
                nothing *= self._how.space.sub_policies
                trials.unchanged = self._density.losses(weights, held, [nothing])[0]
            while not trials.finished:
                asked = trials.ask()
                losses = self._density.losses(weights, held, asked, first=trials.count)
                trials.tell(asked, losses)
                console.say(trials.line())


class Trials:
    """The candidates of one search and their losses, as its file has them."""

    def __init__(self, how: Search, path: Path, seed: int) -> None:
        self._how, self._path, self._seed = how, path, seed
        self._told: list[tuple[list[SubPolicy], float]] = []
        self.unchanged: float | None = None
        self._asked = asdict(how.preset) | {
            "ranges": list(how.space.ranges),
            "at_once": how.at_once,
            "seed": seed,
        }
        if path.exists():
            self._read()

    def _read(self) -> None:
        try:
            tree = strictly_parsed(self._path.read_bytes())
            asked, self.unchanged = tree["search"], tree["unchanged"]
            pairs = [(one["candidate"], one["loss"]) for one in tree["trials"]]
        except (ValueError, KeyError, TypeError) as error:
            raise AugmentError(
                f"'{self._path}' cannot be read ({error}); remove it to search anew"
            ) from error
        for key, value in self._asked.items():
            if asked.get(key) != value:
                raise AugmentError(
                    f"'{self._path}' is of another search: {key}={value!r}, there "
                    f"{asked.get(key)!r}; give the same or another --workdir"
                )
        self._told = [(c, math.inf if v is None else v) for c, v in pairs]

    @property
    def count(self) -> int:
        """How many are known."""
        return len(self._told)

    @property
    def finished(self) -> bool:
        """Whether all are."""
        return self.count >= self._how.preset.trials

    def ask(self) -> list[list[SubPolicy]]:
        """The next candidates."""
        preset = self._how.preset
        count = min(self._how.at_once, preset.trials - self.count)
        return propose(
            self._how.space, self._told, count, preset=preset, seed=self._seed
        )

    def tell(self, candidates: Sequence[Any], losses: Sequence[float]) -> None:
        """Adds what was found, and writes all."""
        self._told += zip(candidates, losses, strict=True)
        rows = [
            json.dumps({"loss": v if math.isfinite(v) else None, "candidate": c})
            for c, v in self._told
        ]
        head = json.dumps({"search": self._asked, "unchanged": self.unchanged})
        listed = ",\n  ".join(rows)
        text = f'{head[:-1]},\n "trials": [\n  {listed}\n ]}}\n'
        write_whole(self._path, text)

    def best(self, count: int) -> list[tuple[list[SubPolicy], float]]:
        """Those of the lowest losses; of equal ones the first."""
        return sorted(self._told, key=lambda one: one[1])[:count]

    def line(self) -> str:
        """How far it is, for whoever waits."""
        lowest = self.best(1)[0][1]
        return (
            f"{self.count} of {self._how.preset.trials} candidates, lowest loss "
            f"{lowest:.4f}, unchanged {self.unchanged:.4f}"
        )


def at_random(
    config: Settings, space: Space, count: int, folds: Sequence[int]
) -> dict[str, Any]:
    """As `search`, of sub-policies that nobody chose."""
    return {
        "ranges": list(space.ranges),
        "split": _policy_file.split_of(config.data),
        "folds": {
            str(fold): space.random(count, seed=config.seed + STEP * fold)
            for fold in folds
        },
        "about": {"random": count, "seed": config.seed},
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes the policy."""
    parser = cli.Parser("python -m ultrasound_jax.augment.search", description=__doc__)
    add = parser.add_argument
    add("--config", required=True, help="path[:variant]; --config.KEY=VALUE as well")
    add("--out", type=Path, required=True, metavar="POLICY.json")
    add("--workdir", type=Path, help="of the search; by default beside --out")
    add("--preset", choices=PRESETS, default="small")
    add("--crossval", action="store_true", help="every fold of a cross-validation")
    add("--random", type=int, metavar="N", help="N sub-policies that nobody chose")
    sets = tuple(primitives.SETS)
    add("--ranges", nargs="+", choices=sets, default=["fast"], help="of primitives")
    add("--at-once", type=int, default=AT_ONCE, help="candidates a call")
    given, rest = parser.parse_known_args(arguments)
    for name in ("random", "at_once"):
        value = getattr(given, name)
        if value is not None and value < 1:
            parser.error(f"--{name.replace('_', '-')} {value}: it must be 1 or more")
    return cli.guard(lambda prompt: run(given, rest))


def run(given: argparse.Namespace, rest: Sequence[str]) -> None:
    """Does what the command line asks for; `rest` are words about the settings."""
    config = settings.load(given.config)
    for word in rest:
        if not word.startswith("--config."):
            raise ConfigError(f"unexpected argument '{word}'; settings: --config.x=y")
    settings.override(config, [word.removeprefix("--config.") for word in rest])
    if given.crossval:
        config.data.protocol, config.data.test_fraction = "rotation", 0.0
    config.augment = []
    settings.check(config)
    settings.complete(config)
    compiling.use_compilation_cache(config.compilation_cache)
    folds = range(config.data.folds) if given.crossval else [config.data.fold]
    if given.random:
        space = Space(tuple(given.ranges))
        content = at_random(config, space, given.random, folds)
    else:
        if jax.process_count() > 1:
            raise ConfigError("a search runs in one process; leave out --distributed")
        sizes = preset(given.preset)
        folder = given.workdir or given.out.with_suffix(".search")
        folder.mkdir(parents=True, exist_ok=True)
        how = Search(
            preset=sizes,
            space=Space(tuple(given.ranges), sizes.sub_policies),
            folder=folder.absolute(),
            at_once=given.at_once,
        )
        with one_writer(folder):
            content = search(config, how, list(folds))
    _policy_file.write(given.out, content)
    count = len(next(iter(content["folds"].values())))
    print(
        f"written to {given.out}: {count} sub-policies for each of {len(folds)} fold(s)"
    )
    entry = json.dumps([{"name": "policy", "file": str(given.out)}])
    print(f"use it by --config.augment='{entry}'")
