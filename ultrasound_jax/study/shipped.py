"""The steps of the shipped configurations, without a dataset and without values.

What a step is made of can be traced, lowered for a device that is not there, counted
and compared, when only the shapes are known; a dataset's are in the configuration.
"""

import runpy
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import Mesh

from ultrasound_jax import augment, config_file, models, tasks
from ultrasound_jax import config as settings
from ultrasound_jax.data.spec import Field, Spec
from ultrasound_jax.experiment import make_network, network_settings
from ultrasound_jax.tasks import Task
from ultrasound_jax.training import compiled, optim, steps
from ultrasound_jax.types import ArrayTree, Settings

FILES = (
    *("configs/luvnet.py", "configs/video_baselines.py", "configs/busi.py"),
    *("configs/resnet_attention.py", "configs/folder.py"),
)
PATTERNS = ("a_line", "b_line", "consolidation", "pleural_effusion")
BUSI = ("benign", "malignant", "normal")
IMAGES = ("busi", "lesion_phantom", "skin_tumor", "folder", "pu2756")  # still ones
SLICES = ("phantom_ct", "lungsegdb")  # of CT


@dataclass(frozen=True)
class Abstract:
    """A configuration's network and task; a `Trainable` whose arrays are shapes."""

    config: Settings
    mesh: Mesh
    task: Task
    network: steps.Network
    params: ArrayTree
    stats: ArrayTree


def names() -> list[str]:
    """Every shipped configuration as `--config` takes it."""
    return [f"{file}:{variant}" for file in FILES for variant in _variants(file)]


def networks() -> list[str]:
    """The networks of clips, each of which configs/video_baselines.py has by name."""
    return [name for name in _variants(FILES[1]) if name in models.names()]


def _variants(file: str) -> list[str]:
    with config_file.importable():
        return list(runpy.run_path(config_file.find(file))["VARIANTS"])


def spec_of(config: Settings) -> Spec:
    """The fields of the configured dataset, of which nothing has to be built.

    A class counts for the shapes only: clips have the four patterns, images BUSI's.
    """
    options = config.data.options
    pixels = partial(Field, dtype="uint8", role="pixels")
    square = (options.size, options.size, 1)
    if config.data.name in SLICES:
        units = config.data.hu_width > 0
        image = pixels(shape=square, dtype="int16" if units else "uint8")
        mask = Field(shape=square, dtype="uint8", role="mask", classes=("lung",))
        fields = {"image": image, "labels": _labels(("lung",)), "mask": mask}
        spec = Spec(fields, ("slice", "slice"))
        window = config.data.hu_centre, config.data.hu_width
        return spec.windowed(*window) if units else spec
    if config.data.name in IMAGES:
        image = pixels(shape=square)
        mask = Field(shape=square, dtype="uint8", role="mask", classes=("lesion",))
        fields = {"image": image, "labels": _labels(BUSI), "mask": mask}
        return Spec(fields, ("image", "image"))
    cut = options.get("clip_frames", 0)
    frames = cut or round(options.frame_rate * options.clip_seconds)
    clip = pixels(shape=(None, *square), longest=frames)
    return Spec({"clip": clip, "labels": _labels(PATTERNS)})


def _labels(classes: tuple[str, ...]) -> Field:
    shape = (len(classes),)
    return Field(shape=shape, dtype="int8", role="labels", classes=classes)


def task_of(config: Settings) -> Task:
    """The configured task, on labels that show every class once."""
    spec = spec_of(config)
    labels = np.eye(len(spec["labels"].classes), dtype=np.int8)
    options = settings.task_options(config)
    name, select = config.task.name, config.train.select
    return tasks.build(name, spec, labels, options=options, select=select)


def abstract(config: Settings) -> Abstract:
    """The configured experiment without a single number."""
    task, about = task_of(config), network_settings(config)
    model = nnx.eval_shape(lambda: make_network(about, task, seed=config.seed))
    network, params, stats = steps.split(model)
    mesh = Mesh(np.array(jax.devices()[:1]), ("data",))
    return Abstract(config, mesh, task, network, params, stats)


def count(experiment: Abstract) -> int:
    """How many numbers train."""
    return sum(leaf.size for leaf in jax.tree.leaves(experiment.params))


def rows_of(experiment: Abstract, count: int) -> dict[str, jax.ShapeDtypeStruct]:
    """The shapes of a batch of so many rows."""
    return compiled.batch_shapes(experiment.task.spec.shapes(), count)


def programs(experiment: Abstract) -> Iterator[tuple[str, Any, tuple[Any, ...]]]:
    """The `train` and the `eval` step: name, function, and what it takes by shape."""
    config, task = experiment.config, experiment.task
    plan = optim.make_plan(config, config.data.batch_size)
    move = augment.build(config.augment, data=config.data)
    averaged = config.optim.ema > 0
    state = jax.eval_shape(
        lambda p, s: steps.init_state(p, s, plan.optimizer, averaged=averaged),
        experiment.params,
        experiment.stats,
    )
    train = steps.make_train_step(
        experiment.network,
        task,
        plan.optimizer,
        augment=move,
        seed=config.seed,
        accumulate=config.optim.accumulate,
        ema=config.optim.ema,
        crop=config.train.crop,
    )
    rows = rows_of(experiment, config.data.batch_size)
    rows |= compiled.batch_shapes(move.fields, config.data.batch_size)
    scale = jax.ShapeDtypeStruct((), jnp.float32)
    yield "train", train, (state, rows, scale)
    rows = rows_of(experiment, config.data.eval_batch_size)
    looking = compiled.looking_of(config)
    evaluate = steps.make_eval_step(experiment.network, task, **looking)
    yield "eval", evaluate, (experiment.params, experiment.stats, rows)
