"""Where in still images a trained network found what it says."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int, Int8

from ultrasound_jax import config as settings
from ultrasound_jax.experiment import Experiment
from ultrasound_jax.explain.errors import ExplainError
from ultrasound_jax.explain.see import exact, gradcam, stages
from ultrasound_jax.explain.see.alignment import enlarged, first_cells
from ultrasound_jax.predict import open_run
from ultrasound_jax.predict.examples import own_experiment
from ultrasound_jax.tasks import Task
from ultrasound_jax.training import compiling

EXACT, GRAD_CAM = METHODS = ("exact", "gradcam")
PREDICTED = -1  # in place of a class's number: the one of the highest score
BATCH = 16  # images that are looked at together


@dataclass(frozen=True, eq=False)
class ImageMaps:
    """What was seen in some images: scores, the class looked for, and its map.

    maps: at the size of the images, on the scale of the method; not cut at zero where
    they are exact.
    """

    scores: Float[np.ndarray, "b k"]
    chosen: Int[np.ndarray, " b"]
    maps: Float[np.ndarray, "b h w"] = field(repr=False)


@dataclass(frozen=True, eq=False)
class Look:
    """A network's look at a batch of images.

    kind: in words, how its maps are made. method: one of METHODS. stage, cells: of
    Grad-CAM, the stage's number from 1 and its rows and columns; None of exact maps.
    """

    kind: str
    method: str
    stage: int | None
    cells: tuple[int, int] | None
    see: Callable[[dict[str, np.ndarray], Int[np.ndarray, " b"]], ImageMaps] = field(
        repr=False
    )


@dataclass(frozen=True, eq=False)
class SeenImage:
    """One image, and where a network saw a class in it.

    truth: the number of the one class that it is of, None of none or several.
    predicted: that of the highest score. chosen: of the map's class. score: of that.
    """

    place: int
    example_id: str
    patient_id: str
    image: np.ndarray = field(repr=False)
    truth: int | None
    predicted: int
    chosen: int
    score: float
    values: Float[np.ndarray, "h w"] = field(repr=False)


def open_trained(
    run: Path,
    say: Callable[[str], None],
    *,
    method: str | None = None,
    stage: int | None = None,
) -> tuple[Experiment, Look]:
    """Restores a run's best weights with its own dataset, and how to look with them.

    Raises:
        UltrasoundError: the folder holds no run on images, or see `make_look`.
    """
    config = settings.read(run)
    compiling.use_compilation_cache(config.compilation_cache)
    trained = open_run(run, say)
    check_images(trained.task)
    experiment = own_experiment(trained, config, say)
    state = jax.device_put(jax.device_get(trained.weights), jax.local_devices()[0])
    model = nnx.merge(trained.network.evaluation, *state, copy=True)
    return experiment, make_look(model, trained.task, method=method, stage=stage)


def see_images(
    experiment: Experiment,
    look: Look,
    places: Sequence[int],
    chosen: Sequence[int] | int = PREDICTED,
) -> list[SeenImage]:
    """What a network sees in some examples of its dataset, in their order.

    `chosen` is the number of the class whose map is wanted, of all or of each example.
    """
    source, found = experiment.source, []
    wanted = np.broadcast_to(np.asarray(chosen, np.int32), (len(places),))
    for first in range(0, len(places), BATCH):
        here = np.full(BATCH, -1, np.int32)  # the last rows may be filling
        mine = np.full(BATCH, PREDICTED, np.int32)
        count = len(places[first : first + BATCH])
        here[:count] = places[first : first + count]
        mine[:count] = wanted[first : first + count]
        batch = source.load(here)
        seen = look.see(batch, mine)
        for row, place in enumerate(here[:count].tolist()):
            picked = int(seen.chosen[row])
            found.append(
                SeenImage(
                    place=place,
                    example_id=source.table.example_id[place],
                    patient_id=source.table.patient_id[place],
                    image=batch[source.pixels][row],
                    truth=true_class(source.table.labels[place]),
                    predicted=int(seen.scores[row].argmax()),
                    chosen=picked,
                    score=float(seen.scores[row, picked]),
                    values=seen.maps[row],
                )
            )
    return found


def true_class(labels: Int8[np.ndarray, " k"]) -> int | None:
    """The number of the one class that is present; None of none or several."""
    present = np.flatnonzero(labels == 1)
    return int(present[0]) if len(present) == 1 else None


def check_images(task: Task) -> None:
    """Refuses a task that does not tell classes of still images.

    Raises:
        ExplainError: see above.
    """
    pixels = task.spec.of_role("pixels")
    if any(task.spec[name].padded for name in pixels):
        raise ExplainError(
            f"the run was trained on {', '.join(pixels)}: maps are judged on still "
            "images; the verb attention shows those of clips"
        )
    if not task.spec.of_role("labels") or _speaks(task) is None:
        raise ExplainError(
            f"the run tells {', '.join(task.classes)} by {task.outputs} outputs; a map "
            "is of a class that has a logit of its own"
        )


def _speaks(task: Task) -> Float[np.ndarray, "k o"] | None:
    """How the logits add up to what speaks for each class; None where they do not.

    The one logit of two classes is that of the second, and less it that of the first.
    """
    count = len(task.classes)
    if task.outputs == count:
        return np.eye(count, dtype=np.float32)
    if task.outputs == 1 and count == 2:
        return np.array([[-1.0], [1.0]], np.float32)
    return None


def make_look(
    model: nnx.Module,
    task: Task,
    *,
    method: str | None = None,
    stage: int | None = None,
) -> Look:
    """Compiles a network's look at a batch of images.

    Args:
        model: in its evaluation view.
        task: that it was trained for.
        method: of METHODS. None is `exact` where the network has such maps and no stage
            is given, otherwise `gradcam`.
        stage: of Grad-CAM, its number from 1; None is the last.

    Raises:
        ExplainError: a task without such classes, or a network without such maps.
    """
    check_images(task)
    graphdef, state = nnx.split(model)
    empty = task.spec.empty(1)
    shapes = jax.eval_shape(lambda batch: task.inputs(task.floats(batch)), empty)
    outputs = jax.eval_shape(stages.watched(graphdef), state, shapes)
    there = exact.has_exact(model, outputs)
    if method is None:
        method = EXACT if there and stage is None else GRAD_CAM
    if method == EXACT:
        _check_exact(there, stage)
        return Look(
            kind="exact class activation maps",
            method=EXACT,
            stage=None,
            cells=None,
            see=_exact_look(graphdef, state, task),
        )
    sizes = stages.cells(graphdef, state, shapes)
    place = stages.chosen_stage(stage, sizes)
    rows, columns = sizes[place]
    return Look(
        kind=f"Grad-CAM at stage {place + 1} of {len(sizes)}, {rows} x {columns} cells",
        method=GRAD_CAM,
        stage=place + 1,
        cells=sizes[place],
        see=_gradient_look(graphdef, state, task, place),
    )


def _check_exact(there: bool, stage: int | None) -> None:
    if not there:
        raise ExplainError(
            "--method exact: the network says by no map_weights that its logits are "
            "linear in the means of its maps; allowed is gradcam"
        )
    if stage is not None:
        raise ExplainError(
            f"--stage {stage}: exact maps are of all levels together; stages are of "
            "--method gradcam"
        )


def _weights(task: Task, scores: Array, chosen: Array) -> tuple[Array, Array]:
    """The class looked for in each image, and how the logits are weighed for it."""
    found = jnp.where(chosen == PREDICTED, scores.argmax(1), chosen)
    speaks = _speaks(task)
    assert speaks is not None  # noqa: S101 - see check_images
    return found, jnp.asarray(speaks)[found]


def _exact_look(graphdef: nnx.GraphDef, state: Any, task: Task) -> Callable:
    @compiling.jit
    def apply(state: Any, batch: dict[str, Array], chosen: Array) -> Any:
        model: Any = nnx.merge(graphdef, state, copy=True)
        outputs = model(**task.inputs(task.floats(batch)))
        scores = task.scores(outputs)
        found, weights = _weights(task, scores, chosen)
        return scores, found, exact.level_maps(model, outputs, weights)

    def pyramid(picture: Array) -> Sequence[Array]:
        model: Any = nnx.merge(graphdef, state, copy=True)
        return model(**{name: picture})["pyramid"]

    name, shape = _picture(task)
    firsts = first_cells(pyramid, shape)

    def see(batch: dict[str, np.ndarray], chosen: np.ndarray) -> ImageMaps:
        scores, found, levels = jax.device_get(apply(state, batch, chosen))
        return ImageMaps(scores, found, exact.summed(levels, shape[:2], firsts))

    return see


def _picture(task: Task) -> tuple[str, tuple[int, int, int]]:
    """The name and the shape of what a network is given."""
    name = task.spec.of_role("pixels")[0]
    height, width, channels = task.spec[name].batch_shape(name)
    return name, (height, width, channels)


def _gradient_look(
    graphdef: nnx.GraphDef, state: Any, task: Task, place: int
) -> Callable:
    @compiling.jit
    def apply(state: Any, batch: dict[str, Array], chosen: Array) -> Any:
        inputs = task.inputs(task.floats(batch))
        seen = gradcam.behind(graphdef, state, inputs, place)
        scores = task.scores(seen.outputs)
        found, weights = _weights(task, scores, chosen)
        return scores, found, gradcam.of_pictures(seen, weights)

    def stage(picture: Array) -> Sequence[Array]:
        run = stages.at_stage(graphdef, place)
        return (run(state, {name: picture})[stages.STAGE],)

    name, shape = _picture(task)
    (first,) = first_cells(stage, shape)

    def see(batch: dict[str, np.ndarray], chosen: np.ndarray) -> ImageMaps:
        scores, found, maps = jax.device_get(apply(state, batch, chosen))
        shown = [enlarged(one, shape[:2], first, cv2.INTER_LINEAR) for one in maps]
        return ImageMaps(scores, found, np.stack(shown))

    return see
