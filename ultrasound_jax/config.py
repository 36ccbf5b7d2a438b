"""Settings: where they come from, which values are allowed, how a file holds them."""

import contextlib
import difflib
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from ultrasound_jax import augment, models, tasks
from ultrasound_jax.analysis.stats._parts.bootstrap import FEWEST
from ultrasound_jax.config_file import ConfigError, defaults, load, named
from ultrasound_jax.runs.files import write_whole
from ultrasound_jax.runs.json_text import strictly_parsed
from ultrasound_jax.types import Settings, UltrasoundError

CHOICES = {
    "dtype": ("float32", "bfloat16"),
    "init_part": ("all", "encoder"),
    "data.sampling": ("uniform", "balanced", "patient"),
    "data.protocol": ("holdout", "rotation"),
    "optim.name": ("adam", "adamw", "sgd"),
    "optim.schedule": ("constant", "cosine", "step", "plateau"),
    "tune.what": ("lr", "lr_and_weight_decay"),
    "evaluation.mask_file": ("png", "tif"),
    "radiomics.features": ("", "radiomics", "codes", "mix"),
}
AT_LEAST_ONE = (
    "data.batch_size",
    "data.eval_batch_size",
    "data.threads",
    "data.prefetch",
    "optim.accumulate",
    "optim.step_epochs",
    "train.epochs",
    "train.log_every",
    "train.save_every",
    "tune.trials",
    "probe.frames",
    "radiomics.processes",
)
NOT_NEGATIVE = (
    "seed",
    "memory_limit_gb",
    "data.split_seed",
    "data.fold",
    "data.hu_width",
    "evaluation.window",
    "optim.weight_decay",
    "optim.warmup_epochs",
    "optim.plateau_patience",
    "optim.clip_norm",
    "optim.encoder_rate",
    "train.crop",
    "train.patience",
    "tune.epochs",
)
SEEDS = ("seed", "data.split_seed")
LARGEST_SEED = 2**32 - 1  # of all that is drawn by, Grain takes no longer ones
FRACTIONS = ("data.test_fraction", "evaluation.overlap", "optim.ema", "optim.momentum")
RANGES = ("tune.lr", "tune.weight_decay")
# Settings of what is named beside them: a file need not name them, and `complete` asks
# their owner which there are.
OWNED = ("model.options", "task.options")


def check_overrides(argv: Sequence[str]) -> None:
    """Refuses `--config.a.b=v` on the command line whose `a.b` is not a setting."""
    file = named(argv)
    if not file:
        return
    config = load(file)
    given = [arg.lstrip("-") for arg in argv if arg.startswith("-")]
    for arg in given:
        name = arg.partition("=")[0]
        if name.startswith("config."):
            _check_key(config, name.removeprefix("config."))


def assignments(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """The command line without `--config.x=v`, and these as `x=v`, if it has no file.

    With `--config=FILE` nothing is taken out: the flags know what to do with them.
    """
    named = any(a.lstrip("-").split("=")[0] == "config" for a in argv if a[:1] == "-")
    if named:
        return list(argv), []
    taken = [a for a in argv if a.lstrip("-").startswith("config.") and a[0] == "-"]
    short = [a for a in taken if "=" not in a]
    if short:
        raise ConfigError(f"'{short[0]}' is not allowed here: give {short[0]}=VALUE")
    rest = [a for a in argv if a not in taken]
    return rest, [a.lstrip("-").removeprefix("config.") for a in taken]


def parsed(text: str) -> Any:
    """The value that a command line means: JSON where it is any, else the text."""
    try:
        return json.loads(text.lower() if text in ("True", "False") else text)
    except (ValueError, RecursionError):
        return text


def _check_key(config: Settings, key: str) -> None:
    if key.rpartition(".")[0] in OWNED:
        return
    node: Any = config
    walked: list[str] = []
    for part in _parts(key):
        inside = _inside(node)
        if part not in inside:
            allowed = sorted(inside)
            named = [name for name in allowed if not name.startswith("[")]
            near = difflib.get_close_matches(part, named, n=1)
            hint = f" (did you mean '{near[0]}'?)" if near else ""
            above = ".".join(walked).replace(".[", "[")
            where = f"'{above}' has" if walked else "there are"
            raise ConfigError(
                f"unknown setting 'config.{key}'{hint}; {where}: "
                f"{', '.join(allowed) or 'no settings below it'}"
            )
        node = inside[part]
        walked.append(part)


def _parts(key: str) -> list[str]:
    """Takes `augment[0].flip` apart into `augment`, `[0]` and `flip`."""
    return key.replace("[", ".[").split(".")


def _inside(node: Any) -> Mapping[str, Any]:
    """What lies below a setting, by the part of a key that leads there."""
    if isinstance(node, list):
        return {f"[{place}]": one for place, one in enumerate(node)}
    return dict(node) if isinstance(node, Mapping | ConfigDict) else {}


def _set(config: Settings, key: str, value: Any) -> None:
    """Raises TypeError for a value of another type, as ConfigDict does."""
    *path, last = _parts(key)
    holder: Any = config
    for part in path:
        holder = _inside(holder)[part]
    if isinstance(holder, ConfigDict):
        # What is named beside an owner's options need not be among the settings yet.
        new = contextlib.nullcontext() if last in holder else holder.unlocked()
        with new:
            holder[last] = value
    else:
        checked = ConfigDict(holder)
        checked[last] = value
        holder.update(checked.to_dict())


def _check_leaf(config: Settings, key: str) -> None:
    node: Any = config
    for part in _parts(key):
        node = _inside(node).get(part)
    if isinstance(node, Mapping | ConfigDict):
        inside = ", ".join(f"{key}.{name}" for name in sorted(node))
        raise ConfigError(f"config.{key} has settings of its own; give {inside}")


def override(config: Settings, assignments: Sequence[str]) -> None:
    """Sets `["optim.lr=1e-4", …]`, as `--config.optim.lr=1e-4` would.

    Raises ConfigError for what is no setting, or not a value of its type.
    """
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals:
            raise ConfigError(f"'{assignment}' is not allowed: it must be KEY=VALUE")
        _check_key(config, key)
        _check_leaf(config, key)
        value = parsed(text)
        try:
            _set(config, key, value)
        except (TypeError, ValueError) as error:
            kind = type(dict(flatten(config)).get(key)).__name__
            raise ConfigError(
                f"config.{key}={text!r} is not allowed: it must be of type {kind}"
            ) from error


def network_options(config: Settings) -> dict[str, Any]:
    """Every option of the configured network: those of the settings, else its defaults.

    Raises ConfigError for an unknown network, or options that it does not have.
    """
    return _with_defaults(config, "model", models.options_of)


def task_options(config: Settings) -> dict[str, Any]:
    """The same for the configured task."""
    return _with_defaults(config, "task", tasks.options_of)


def _with_defaults(
    config: Settings, what: str, options_of: Callable[[str], dict[str, Any]]
) -> dict[str, Any]:
    if "options" not in config[what]:
        raise ConfigError(
            f"the settings lack {what}.options: they are of another version of the "
            "program"
        )
    name, given = config[what].name, config[what].options.to_dict()
    try:
        own = options_of(name)
    except models.OptionError as error:
        raise ConfigError(f"config.model.{error}") from error
    for option, value in given.items():
        if option not in own:
            raise ConfigError(
                f"config.{what}.options.{option}={value!r} is not allowed: {name!r} "
                f"has {', '.join(sorted(own)) or 'no options'}"
            )
    return own | given


def complete(config: Settings) -> None:
    """Writes out the options that the settings leave to defaults.

    They are the network's, the task's and the augmentation's own. A run's `config.json`
    then tells all that was used. Raises ConfigError for options that they do not have.
    """
    chosen = {"model": network_options(config), "task": task_options(config)}
    for what, options in chosen.items():
        with config[what].unlocked():
            config[what].options = ConfigDict(options)
    config.augment = augment.completed(config.augment)


def check(config: Settings) -> None:
    """Refuses a value that no part of the program could use."""
    values = dict(flatten(config))
    needed = {*CHOICES, *AT_LEAST_ONE, *NOT_NEGATIVE, *FRACTIONS, "augment"}
    needed |= {
        "evaluation.replicates",
        "data.hu_centre",
        "optim.step_factor",
        "optim.frozen_stages",
    }
    needed |= {f"{key}_{end}" for key in RANGES for end in ("low", "high")}
    if missing := sorted(needed - values.keys() - {*config}):
        raise ConfigError(
            f"the settings lack {', '.join(missing[:5])}: they are of another version "
            "of the program, which can still evaluate them"
        )
    for key, allowed in CHOICES.items():
        _require(values[key] in allowed, key, values[key], f"one of {allowed}")
    for key in AT_LEAST_ONE:
        _require(values[key] >= 1, key, values[key], "1 or more")
    for key in NOT_NEGATIVE:
        _require(0 <= values[key] < math.inf, key, values[key], "0 or more")
    for key in FRACTIONS:
        _require(0 <= values[key] < 1, key, values[key], "from 0 to below 1")
    for key in RANGES:
        low, high = values[f"{key}_low"], values[f"{key}_high"]
        allowed = f"above 0, finite and below {key}_high={high}"
        _require(0 < low < high < math.inf, f"{key}_low", low, allowed)
    rate = values["optim.lr"]
    _require(0 < rate < math.inf, "optim.lr", rate, "above 0 and finite")
    for place, c in enumerate(config.probe.c):
        _require(0 < c < math.inf, f"probe.c[{place}]", c, "above 0 and finite")
    _require(len(config.probe.c) > 0, "probe.c", [], "one number or more")
    frozen = values["optim.frozen_stages"]
    _require(frozen >= -1, "optim.frozen_stages", frozen, "-1 (all), 0 or more")
    factor = values["optim.plateau_factor"]
    _require(0 < factor < 1, "optim.plateau_factor", factor, "between 0 and 1")
    _require(values["data.folds"] >= 2, "data.folds", values["data.folds"], "2 or more")
    factor = values["optim.step_factor"]
    _require(0 < factor < 1, "optim.step_factor", factor, "between 0 and 1")
    for key in SEEDS:
        _require(values[key] <= LARGEST_SEED, key, values[key], "32 bits or fewer")
    drawn = values["evaluation.replicates"]  # known here, not after the last epoch
    _require(drawn >= FEWEST, "evaluation.replicates", drawn, f"{FEWEST} or more")
    fold, folds = values["data.fold"], values["data.folds"]
    _require(fold < folds, "data.fold", fold, f"below data.folds={folds}")
    batch, parts = values["data.batch_size"], values["optim.accumulate"]
    _require(
        batch % parts == 0,
        "optim.accumulate",
        parts,
        f"a divisor of batch_size={batch}",
    )
    centre = values["data.hu_centre"]
    _require(math.isfinite(centre), "data.hu_centre", centre, "finite")
    try:
        augment.build(config.augment)
    except UltrasoundError as error:
        raise ConfigError(str(error)) from error


def _require(holds: bool, key: str, value: Any, allowed: str) -> None:
    if not holds:
        raise ConfigError(
            f"config.{key}={value!r} is not allowed: it must be {allowed}"
        )


def flatten(config: Settings, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yields `("augment[0].flip", 0.5)`, `("optim.lr", 0.001)` and so on, by name."""
    for key in sorted(config):
        yield from _leaves(config[key], f"{prefix}{key}")


def _leaves(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping | ConfigDict):
        yield from flatten(value, f"{name}.")
    elif isinstance(value, list) and value:
        for place, one in enumerate(value):
            yield from _leaves(one, f"{name}[{place}]")
    else:
        yield name, value


def write(config: Settings, folder: Path) -> None:
    """Writes the resolved settings as `config.json`, whole or not at all."""
    text = json.dumps(config.to_dict(), indent=2, sort_keys=True)
    write_whole(folder / "config.json", text + "\n")


def read(folder: Path, say: Callable[[str], object] = lambda line: None) -> Settings:
    """Reads the settings that a run was made with.

    Those that are newer than the run get their defaults, and are told; what is no
    setting any more is told as well, and is kept.
    """
    path = folder / "config.json"
    if not path.is_file() and (path.exists() or path.is_symlink()):
        raise ConfigError(f"'{path}' is no file; bring it back from a copy")
    if not path.is_file():
        raise ConfigError(f"'{folder}' holds no run: there is no config.json in it")
    try:
        tree = strictly_parsed(path.read_text(encoding="utf-8"))
        _check_kind(tree, defaults().to_dict(), "")
        new, gone = _brought_up_to_date(tree, defaults().to_dict())
        config = ConfigDict(tree).lock()
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ConfigError(f"'{path}' cannot be read: {error}") from error
    if new:
        say(f"{path} is of an older version; by default: {', '.join(new)}")
    if gone:
        say(f"{path} has what is no setting here, and is not used: {', '.join(gone)}")
    return config


def _check_kind(value: Any, default: Any, name: str) -> None:
    """Refuses what is of another kind than a setting's default, wherever it lies.

    Raises:
        ValueError: it says which setting, and of which type it must be.
    """
    kind = type(default)
    allowed = (int, float) if kind is float else kind
    if not isinstance(value, allowed) or (isinstance(value, bool) and kind is not bool):
        told = f"{name}={value!r}" if name else "it"
        raise ValueError(f"{told} must be of type {kind.__name__}")
    if isinstance(value, dict) and isinstance(default, dict):
        for inner in value.keys() & default.keys():
            _check_kind(value[inner], default[inner], f"{name}.{inner}".lstrip("."))


def _brought_up_to_date(
    tree: dict[str, Any], known: Mapping[str, Any], above: str = ""
) -> tuple[list[str], list[str]]:
    """Fills in what a tree lacks; gives `name=value` of that, and of unknown ones.

    Options of a dataset, a network or a task are their owner's to fill in.
    """
    new, gone = [], []
    for name, default in known.items():
        key = f"{above}{name}"
        if key in (*OWNED, "data.options"):
            continue
        if name not in tree:
            tree[name] = default
            new += [f"{at}={value!r}" for at, value in _leaves(default, key)]
        elif isinstance(default, dict):
            inside = _brought_up_to_date(tree[name], default, f"{key}.")
            new, gone = new + inside[0], gone + inside[1]
    for name in sorted(tree.keys() - known.keys()):
        gone += [f"{at}={value!r}" for at, value in _leaves(tree[name], above + name)]
    return new, gone
