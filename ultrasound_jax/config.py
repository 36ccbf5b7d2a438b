"""Settings: where they come from, which values are allowed, how a file holds them."""

import difflib
import importlib.util
import json
import math
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from ultrasound_jax import models
from ultrasound_jax.types import Settings, UltrasoundError

CHOICES = {
    "dtype": ("float32", "bfloat16"),
    "init_part": ("all", "encoder"),
    "data.sampling": ("uniform", "balanced", "patient"),
    "data.protocol": ("holdout", "rotation"),
    "task.class_weights": ("none", "balanced"),
    "optim.name": ("adam", "adamw", "sgd"),
    "optim.schedule": ("constant", "cosine", "plateau"),
    "train.select": ("macro_auroc", "loss"),
    "tune.what": ("lr", "lr_and_weight_decay"),
}
AT_LEAST_ONE = (
    "data.batch_size",
    "data.eval_batch_size",
    "data.threads",
    "data.prefetch",
    "optim.accumulate",
    "train.epochs",
    "train.log_every",
    "train.save_every",
    "tune.trials",
)
NOT_NEGATIVE = (
    "seed",
    "memory_limit_gb",
    "data.split_seed",
    "data.fold",
    "augment.degrees",
    "optim.weight_decay",
    "optim.warmup_epochs",
    "optim.plateau_patience",
    "optim.clip_norm",
    "train.patience",
    "tune.epochs",
    "evaluation.replicates",
)
PROBABILITIES = ("augment.flip", "augment.rotate")
FRACTIONS = ("data.test_fraction", "optim.ema", "optim.momentum")
RANGES = ("tune.lr", "tune.weight_decay")
# Settings of what is named beside them: a file need not name them, and `complete` asks
# their owner which there are.
OWNED = ("model.options",)


class ConfigError(UltrasoundError):
    """A setting, a configuration file or a run's folder that cannot be used."""


def load(config_file: str) -> Settings:
    """Reads `path[:arg]`, where the file's `get_config(arg)` makes the settings."""
    path, _, arg = config_file.partition(":")
    if not Path(path).is_file():
        known = ", ".join(str(p) for p in sorted(Path("configs").glob("[!_]*.py")))
        raise ConfigError(f"no configuration file '{path}'; here is: {known or 'none'}")
    spec = importlib.util.spec_from_file_location("experiment_config", path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"'{path}' is not a Python file with get_config(arg)")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        if not hasattr(module, "get_config"):
            raise ConfigError(f"'{path}' has no get_config(arg); configs/luvnet.py has")
        config = module.get_config(arg)
    except ConfigError:
        raise
    except ValueError as error:  # how get_config says that there is no such variant
        raise ConfigError(str(error)) from error
    except Exception as error:  # it is anybody's code
        line = traceback.extract_tb(error.__traceback__)[-1]
        where = error.lineno if isinstance(error, SyntaxError) else line.lineno
        raise ConfigError(
            f"'{path}' cannot be used: {type(error).__name__}: {error} "
            f"({Path(line.filename).name}, line {where})"
        ) from error
    if not isinstance(config, ConfigDict):
        raise ConfigError(
            f"'{path}': get_config gives {config!r}; it must give a ConfigDict, as "
            "configs/luvnet.py does"
        )
    return config


def check_overrides(argv: Sequence[str]) -> None:
    """Refuses `--config.a.b=v` on the command line whose `a.b` is not a setting."""
    given = [arg.lstrip("-") for arg in argv if arg.startswith("-")]
    files = [arg.removeprefix("config=") for arg in given if arg.startswith("config=")]
    following = [b for a, b in zip(argv, argv[1:], strict=False) if a == "--config"]
    if not files + following:
        return
    config = load((files + following)[-1])
    for arg in given:
        name = arg.partition("=")[0]
        if name.startswith("config."):
            _check_key(config, name.removeprefix("config."))


def _check_key(config: Settings, key: str) -> None:
    if key.rpartition(".")[0] in OWNED:
        return
    node: Any = config
    walked: list[str] = []
    for part in key.split("."):
        if not isinstance(node, ConfigDict) or part not in node:
            allowed = sorted(node) if isinstance(node, ConfigDict) else []
            near = difflib.get_close_matches(part, allowed, n=1)
            hint = f" (did you mean '{near[0]}'?)" if near else ""
            where = f"'{'.'.join(walked)}' has" if walked else "there are"
            raise ConfigError(
                f"unknown setting 'config.{key}'{hint}; {where}: "
                f"{', '.join(allowed) or 'no settings below it'}"
            )
        node = node[part]
        walked.append(part)


def _check_leaf(config: Settings, key: str) -> None:
    node: Any = config
    for part in key.split("."):
        node = node[part] if part in node else None
    if isinstance(node, ConfigDict):
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
        try:
            value = json.loads(text.lower() if text in ("True", "False") else text)
        except ValueError:
            value = text
        try:
            config.update_from_flattened_dict({key: value})
        except (TypeError, ValueError) as error:
            kind = type(dict(flatten(config)).get(key)).__name__
            raise ConfigError(
                f"config.{key}={text!r} is not allowed: it must be of type {kind}"
            ) from error


def network_options(config: Settings) -> dict[str, Any]:
    """Every option of the configured network: those of the settings, else its defaults.

    Raises ConfigError for an unknown network, or options that it does not have.
    """
    if "options" not in config.model:
        raise ConfigError(
            "the settings lack model.options: they are of another version of the "
            "program"
        )
    name, given = config.model.name, config.model.options.to_dict()
    try:
        own = models.options_of(name)
    except models.OptionError as error:
        raise ConfigError(f"config.model.{error}") from error
    for option, value in given.items():
        if option not in own:
            raise ConfigError(
                f"config.model.options.{option}={value!r} is not allowed: network "
                f"{name!r} has {', '.join(sorted(own)) or 'no options'}"
            )
    return own | given


def complete(config: Settings) -> None:
    """Writes out the options that the settings leave to the network's defaults.

    A run's `config.json` then tells all that was used. Raises ConfigError as
    `network_options` does.
    """
    options = network_options(config)
    with config.model.unlocked():
        config.model.options = ConfigDict(options)


def check(config: Settings) -> None:
    """Refuses a value that no part of the program could use."""
    values = dict(flatten(config))
    needed = {*CHOICES, *AT_LEAST_ONE, *NOT_NEGATIVE, *PROBABILITIES, *FRACTIONS}
    needed |= {f"{key}_{end}" for key in RANGES for end in ("low", "high")}
    if missing := sorted(needed - values.keys()):
        raise ConfigError(
            f"the settings lack {', '.join(missing[:5])}: they are of another version "
            "of the program, which can still evaluate them"
        )
    for key, allowed in CHOICES.items():
        _require(values[key] in allowed, key, values[key], f"one of {allowed}")
    for key in AT_LEAST_ONE:
        _require(values[key] >= 1, key, values[key], "1 or more")
    for key in NOT_NEGATIVE:
        _require(values[key] >= 0, key, values[key], "0 or more")
    for key in PROBABILITIES:
        _require(0 <= values[key] <= 1, key, values[key], "from 0 to 1")
    for key in FRACTIONS:
        _require(0 <= values[key] < 1, key, values[key], "from 0 to below 1")
    for key in RANGES:
        low, high = values[f"{key}_low"], values[f"{key}_high"]
        allowed = f"above 0, finite and below {key}_high={high}"
        _require(0 < low < high < math.inf, f"{key}_low", low, allowed)
    rate = values["optim.lr"]
    _require(0 < rate < math.inf, "optim.lr", rate, "above 0 and finite")
    factor = values["optim.plateau_factor"]
    _require(0 < factor < 1, "optim.plateau_factor", factor, "between 0 and 1")
    _require(values["data.folds"] >= 2, "data.folds", values["data.folds"], "2 or more")
    fold, folds = values["data.fold"], values["data.folds"]
    _require(fold < folds, "data.fold", fold, f"below data.folds={folds}")
    batch, parts = values["data.batch_size"], values["optim.accumulate"]
    _require(
        batch % parts == 0,
        "optim.accumulate",
        parts,
        f"a divisor of batch_size={batch}",
    )


def _require(holds: bool, key: str, value: Any, allowed: str) -> None:
    if not holds:
        raise ConfigError(
            f"config.{key}={value!r} is not allowed: it must be {allowed}"
        )


def flatten(config: Settings, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yields `("optim.lr", 0.001)` and so on, sorted by name."""
    for key in sorted(config):
        value = config[key]
        if isinstance(value, ConfigDict):
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def write(config: Settings, folder: Path) -> None:
    """Writes the resolved settings as `config.json`, atomically."""
    temporary = folder / ".config.json.tmp"
    text = json.dumps(config.to_dict(), indent=2, sort_keys=True)
    temporary.write_text(text + "\n")
    temporary.replace(folder / "config.json")


def read(folder: Path) -> Settings:
    """Reads the settings that a run was made with."""
    path = folder / "config.json"
    if not path.is_file():
        raise ConfigError(f"'{folder}' holds no run: there is no config.json in it")
    try:
        return ConfigDict(json.loads(path.read_text())).lock()
    except (ValueError, TypeError, AttributeError) as error:
        raise ConfigError(f"'{path}' cannot be read: {error}") from error
