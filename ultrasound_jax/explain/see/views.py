"""What a trained network saw in each clip of a video: scores, frame weights, maps."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Float, UInt8

from ultrasound_jax import config as settings
from ultrasound_jax.experiment import Experiment
from ultrasound_jax.explain.errors import ExplainError
from ultrasound_jax.explain.see import gradcam, rollout, stages
from ultrasound_jax.explain.see.footage import (
    Clip,
    Footage,
    stitch,
)
from ultrasound_jax.explain.see.frame_weights import (
    ROLLOUT,
    FrameWeights,
    frame_weights,
)
from ultrasound_jax.predict import open_run
from ultrasound_jax.predict.examples import own_experiment
from ultrasound_jax.tasks import Task
from ultrasound_jax.training import compiling

GRAD_CAM = "Grad-CAM"
CLASS_ROLLOUT = "rollout of the class token alone"


@dataclass(frozen=True, eq=False)
class ClipView:
    """One clip, the network's score of each pattern, and where it looked.

    weights: None if the network weighs no frames. maps: on a scale that does not depend
    on the clip's length, so that a video's clips compare; `r` is `k`, or 1 where all
    patterns share them; None if the network has no map of the picture.
    """

    clip: Clip
    scores: Float[np.ndarray, " k"]
    weights: FrameWeights | None
    maps: Float[np.ndarray, "r t i j"] | None = field(repr=False)


@dataclass(frozen=True, eq=False)
class VideoView:
    """A video's clips, also put together on its time axis (overlaps averaged).

    map_kind: how the maps were made; "" if there are none.
    """

    run: str
    footage: Footage
    clips: tuple[ClipView, ...]
    map_kind: str

    @property
    def starts(self) -> list[int]:
        """Where each clip starts in the video."""
        return [view.clip.start for view in self.clips]

    def frames(self) -> UInt8[np.ndarray, "t h w"]:
        """The video; black where no clip is."""
        height, width = self.clips[0].clip.frames.shape[1:]
        frames = np.zeros((self.footage.length, height, width), np.uint8)
        for view in self.clips:
            frames[view.clip.start : view.clip.stop] = view.clip.frames
        return frames

    def weights(self) -> FrameWeights | None:
        """The curves over the video; NaN where no clip is."""
        first = self.clips[0].weights
        parts = [view.weights.heads for view in self.clips if view.weights]
        if first is None or len(parts) < len(self.clips):
            return None
        heads = stitch(parts, self.starts, self.footage.length)
        return FrameWeights(first.kind, heads, first.shared)

    def maps(self) -> Float[np.ndarray, "r t i j"] | None:
        """The maps over the video; NaN where no clip is."""
        parts = [np.moveaxis(v.maps, 1, -1) for v in self.clips if v.maps is not None]
        if len(parts) < len(self.clips):
            return None
        joined = stitch(parts, self.starts, self.footage.length)
        return np.moveaxis(joined, -1, 1)

    def marks(self) -> Float[np.ndarray, "k t"] | None:
        """1 where a frame shows a pattern, 0 where not, NaN where nobody says."""
        parts = [v.clip.marks for v in self.clips if v.clip.marks is not None]
        if len(parts) < len(self.clips):
            return None
        known = [np.where(part < 0, np.nan, part.astype(float)).T for part in parts]
        return stitch(known, self.starts, self.footage.length)

    def labels(self) -> Float[np.ndarray, " k"]:
        """1 where any clip shows a pattern, 0 where none does, NaN for unknown."""
        top = np.max([view.clip.labels for view in self.clips], axis=0).astype(float)
        return np.where(top < 0, np.nan, top)

    def scores(self) -> Float[np.ndarray, " k"]:
        """The mean score of the clips, as `analysis` has it for a video."""
        return np.mean([view.scores for view in self.clips], axis=0)


def open_trained(
    run: Path, say: Callable[[str], None], *, stage: int | None = None
) -> tuple[Experiment, Callable[[Footage, str], VideoView]]:
    """Restores a run's best weights; returns it and how to look at a video with it.

    The look takes the video and what figures shall call the run. `stage` is Grad-CAM's.

    Raises:
        UltrasoundError: the folder holds no run, or nothing to restore.
    """
    config = settings.read(run)
    compiling.use_compilation_cache(config.compilation_cache)
    trained = open_run(run, say)
    experiment = own_experiment(trained, config, say)
    # One device is enough for one clip, and the padding to all of them is saved.
    state = jax.device_put(jax.device_get(trained.weights), jax.local_devices()[0])
    model = nnx.merge(trained.network.evaluation, *state, copy=True)
    return experiment, make_look(model, trained.task, stage=stage)


def make_look(
    model: nnx.Module, task: Task, *, stage: int | None = None
) -> Callable[[Footage, str], VideoView]:
    """Compiles a network's look at a clip.

    Args:
        model: in its evaluation view.
        task: that it was trained for, on clips.
        stage: of Grad-CAM, its number from 1; None is the last.

    Raises:
        ExplainError: the task's network reads no clips.
    """
    if "clip" not in task.spec:
        raise ExplainError(
            f"the run was trained on {', '.join(task.spec.of_role('pixels'))}; curves "
            "over frames are drawn for clips only"
        )
    if not task.spec.of_role("labels") or task.outputs < len(task.classes):
        raise ExplainError(
            f"the run tells {', '.join(task.classes)} by {task.outputs} logits; curves "
            "and maps are drawn where the dataset's labels have one each"
        )
    graphdef, state = nnx.split(model)

    def plain(state: Any, clip: jax.Array, lengths: jax.Array) -> Any:
        return nnx.merge(graphdef, state, copy=True)(clip, lengths)

    shape = task.spec["clip"].batch_shape("clip")
    one = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
    lengths = jax.ShapeDtypeStruct((1,), jnp.int32)
    returned = jax.eval_shape(plain, state, one, lengths)
    make_maps, place, kind_of_map = gradcam.method_for(model, returned), -1, GRAD_CAM
    if stage is not None:
        given = {"clip": one, "lengths": lengths}
        sizes = stages.cells(graphdef, state, given) if make_maps else []
        place = stages.chosen_stage(stage, sizes)
        kind_of_map = f"{GRAD_CAM} at stage {stage} of {len(sizes)}"
    frames_share = gradcam.frames_share(model)
    shared = getattr(model, "attention_is_shared", False)

    @compiling.jit
    def apply(state: Any, clip: jax.Array, lengths: jax.Array) -> Any:
        if make_maps is None:
            return plain(state, clip, lengths), None
        return make_maps(graphdef, state, clip, lengths, place)

    def look(footage: Footage, run: str) -> VideoView:
        views, kind = [], ""
        for clip in footage.clips:
            length = len(clip.frames)
            padded = np.zeros(one.shape, np.float32)
            padded[0, :length, ..., 0] = clip.frames / np.float32(255)
            out = apply(state, padded, jnp.asarray([length], jnp.int32))
            outputs, maps = jax.device_get(out)
            cams = None
            if maps is not None:
                scale = length if frames_share else 1
                cams = scale * np.asarray(maps[0], np.float64)[:, :length]
            view, kind = _view(clip, task, outputs, cams, length, shared, kind_of_map)
            views.append(view)
        return VideoView(run, footage, tuple(views), kind)

    return look


def _view(
    clip: Clip,
    task: Task,
    outputs: dict[str, Any],
    cams: Float[np.ndarray, "k t i j"] | None,
    length: int,
    shared: bool,
    kind_of_map: str,
) -> tuple[ClipView, str]:
    """One clip's view, and how its maps were made; `kind_of_map` if by gradients."""

    def scores_of(logits: np.ndarray) -> np.ndarray:
        return np.asarray(task.scores({"logits": logits}), np.float64)

    scores = scores_of(outputs["logits"])[0]
    weights = frame_weights(
        outputs, 0, length, len(scores), scores=scores_of, shared=shared
    )
    maps, kind = cams, kind_of_map if cams is not None else ""
    size = (int(clip.frames.shape[1]), int(clip.frames.shape[2]))
    shares = rollout.patch_shares(outputs, 0, length, size)
    if maps is None and shares is not None:
        whole = "space_attention" in outputs
        # A clip's shares add to one, however many frames it has.
        maps, kind = shares[None] * length, ROLLOUT if whole else CLASS_ROLLOUT
        weights = rollout.frame_weights(shares, len(scores))
    return ClipView(clip, scores, weights, maps), kind


def shows_where(maps: Float[np.ndarray, "r t i j"]) -> bool:
    """Whether maps are fine enough to tell one place in the picture from another.

    Of 2 x 2 cells each is a quarter of the picture.
    """
    return max(maps.shape[2:]) > 2


def enlarge(
    maps: Float[np.ndarray, "t i j"], size: tuple[int, int]
) -> Float[np.ndarray, "t h w"]:
    """The maps at the size of the frames, bilinear."""
    turned = (size[1], size[0])
    return np.stack(
        [cv2.resize(m, turned, interpolation=cv2.INTER_LINEAR) for m in maps]
    )
