"""A trained run from its folder alone: no dataset and no configuration is asked for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ultrasound_jax import tasks
from ultrasound_jax.data.spec import Spec
from ultrasound_jax.experiment import make_network
from ultrasound_jax.predict import binding, model_file
from ultrasound_jax.predict.model_file import LOOKING, RunError, network_name
from ultrasound_jax.tasks import Task
from ultrasound_jax.training import compiling, sharding, steps
from ultrasound_jax.training.checkpoint import CheckpointError, Checkpoints
from ultrasound_jax.types import ArrayTree

__all__ = ["Run", "RunError", "open_run"]


@dataclass(frozen=True, eq=False)
class Run:
    """A network with its trained weights and what they were trained for.

    about: what `model.json` says. weights: params and stats of the best validation;
    note: what must be said of them, empty where they are just that.
    """

    folder: Path
    about: Mapping[str, Any] = field(repr=False)
    task: Task
    network: steps.Network = field(repr=False)
    weights: tuple[ArrayTree, ArrayTree] = field(repr=False)
    note: str = ""

    @property
    def spec(self) -> Spec:
        """The fields that the network was trained on."""
        return self.task.spec

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of what is told apart."""
        return self.task.classes

    @property
    def name(self) -> str:
        """The network as a report calls it."""
        return network_name(self.about["network"])

    @property
    def thresholds(self) -> dict[str, dict[str, float | None]] | None:
        """By level and class, as chosen on the run's validation patients."""
        return self.about["thresholds"]

    @property
    def parameters(self) -> int:
        """How many numbers were trained."""
        return sum(leaf.size for leaf in jax.tree.leaves(self.weights[0]))

    @cached_property
    def _step(self) -> Callable:
        task, network = self.task, self.network
        looking = {name: self.about[name] for name in LOOKING if name in self.about}

        def scores(params: ArrayTree, stats: ArrayTree, batch: Any) -> jax.Array:
            fields = task.floats(batch)
            return task.scores(
                steps.answers(network, task, params, stats, fields, **looking)
            )

        return compiling.jit(scores)

    def scores(self, batch: Mapping[str, np.ndarray]) -> np.ndarray:
        """The network's answers in [0, 1] to a batch with the fields of `spec`.

        Pixels are as stored (uint8, int16 HU); labels and masks are not needed. Another
        number of rows compiles anew.

        Raises:
            RunError: a field with pixels is missing or has another shape or dtype.
        """
        wanted = self.spec.shapes()
        given = {}
        for name in self.spec.of_role("pixels"):
            given |= {
                k: _checked(batch, k, wanted) for k in wanted if k.startswith(name)
            }
        return np.asarray(jax.device_get(self._step(*self.weights, given)))


def _checked(batch: Mapping[str, Any], name: str, wanted: Mapping[str, Any]) -> Any:
    if name not in batch:
        raise RunError(f"the batch has no '{name}'; it has {', '.join(batch)}")
    shape, dtype = wanted[name]
    array = np.asarray(batch[name])
    if array.shape[1:] != shape or array.dtype != dtype:
        raise RunError(
            f"'{name}' is {array.dtype} {array.shape[1:]} an example; the network was "
            f"trained on {dtype} {shape}"
        )
    return array


def open_run(folder: Path, say: Callable[[str], None] = print) -> Run:
    """The run in a folder, with its best weights.

    Raises:
        CheckpointError: there is nothing to restore, or weights of another run.
        RunError: the run is of another version, or its `model.json` was edited.
    """
    folder = Path(folder).absolute()
    if any(folder.glob(f"fold_*/{model_file.NAME}")):
        model_file.read(folder)  # says which folds there are
    if not any((folder / "checkpoints" / n).is_dir() for n in ("best", "latest")):
        raise CheckpointError(
            f"'{folder}' holds no checkpoint to evaluate; train with --mode train"
        )
    about = model_file.read(folder)
    bound = about.get(binding.KEY, {})
    if not bound:
        say(binding.unbound(folder))
    with model_file.sensible(folder):
        spec = Spec.from_json(about["spec"])
        task = tasks.build(
            about["task"]["name"], spec, options=about["task"]["options"]
        )
        model = make_network(about["network"], task, seed=0)
    # By what the file says today: the weights know what they were trained for.
    bound = {**bound, "classes": binding.hash_of_classes(spec)}
    network, params, stats = steps.split(model)
    template = sharding.replicate((params, stats), sharding.data_mesh())
    with Checkpoints(
        folder / "checkpoints", bound=bound, writes=False, say=say
    ) as checkpoints:
        best = checkpoints.best(template)
    if best.note:
        say(f"'{folder}': the weights are {best.note}")
    return Run(folder, about, task, network, best.weights, best.note)
