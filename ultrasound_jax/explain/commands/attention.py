"""Where a trained network looked in a video: curves, strips and annotated videos.

Writes into DIR/<run>/<video>/:
  attention.csv          the curves: one row a clip, frame, pattern and head
  attention.png .svg     a curve over the video's frames for each pattern, its heads,
                         and what annotators marked; clips' overlaps are averaged
  top_frames.png .svg    the frames that counted most, with their values
  attention.mp4          the same as a video
  map.png .svg, map.mp4  Grad-CAM, or attention rollout, over the frames
  clips/                 curves and strips of each clip by itself
  about.json             what was looked at, with which weights
"""

import argparse
from pathlib import Path

from absl import logging

from ultrasound_jax.analysis.table.inputs import (
    add_run_arguments,
    make_folder,
    open_runs,
)
from ultrasound_jax.explain.draw.page import Page
from ultrasound_jax.explain.errors import ExplainError
from ultrasound_jax.explain.see.footage import read_footage
from ultrasound_jax.explain.see.views import (
    open_trained,
    shows_where,
)
from ultrasound_jax.runs.names import file_name


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what this verb takes."""
    add_run_arguments(parser)
    parser.add_argument(
        "--video",
        required=True,
        nargs="+",
        metavar="VIDEO_ID",
        help="videos of the run's dataset, as its predictions.csv names them",
    )
    parser.add_argument(
        "--pattern", nargs="+", metavar="P", default=[], help="only these; all if none"
    )
    parser.add_argument(
        "--top", type=int, default=5, help="frames to single out (default 5)"
    )
    parser.add_argument(
        "--no-videos", action="store_true", help="figures only, which is quicker"
    )
    parser.add_argument(
        "--stage",
        type=int,
        metavar="N",
        help="of Grad-CAM, from 1, the finest (default: the last)",
    )


def run(options: argparse.Namespace) -> int:
    """Writes the figures; returns 0.

    Raises:
        UltrasoundError: no such run, video or pattern, or a run without weights.
    """
    logging.set_verbosity(logging.ERROR)  # TFDS tells of every file
    if options.top < 1:
        raise ExplainError(f"--top {options.top}: allowed is 1 or more")
    for opened in open_runs(options.runs):
        if opened.folder is None:
            raise ExplainError(
                f"{opened.name}: a table alone has no network to look into; give the "
                "run's folder"
            )
        folder = _one_fold(opened.folder)
        experiment, look = open_trained(folder, print, stage=options.stage)
        classes = experiment.source.classes
        chosen = _chosen(options.pattern, classes)
        footages = [read_footage(experiment, video) for video in options.video]
        for footage in footages:
            view = look(footage, opened.name)
            folder = options.out / file_name(opened.name) / file_name(footage.video_id)
            make_folder(folder / "clips")
            page = Page(folder, view, tuple(chosen), options.top)
            page.write(videos=not options.no_videos)
            print(f"{opened.name}, {footage.video_id}: written to {folder}")
            if view.weights() is None:
                network = experiment.config.model.name
                print(f"{network} weighs no frames by attention: there are no curves")
            maps = view.maps()
            if maps is not None and not shows_where(maps):
                rows, columns = maps.shape[2:]
                print(
                    f"maps are {rows} x {columns} cells: too coarse to show where in "
                    "the picture; larger clips and earlier stages (--stage) have finer "
                    "ones"
                )
            if view.marks() is None:
                print(f"{experiment.source.name} has no labels of frames to compare to")
    return 0


def _one_fold(folder: Path) -> Path:
    """The folder itself; a cross-validation has no weights, but its folds have."""
    folds = sorted(folder.glob("fold_*/checkpoints"))
    if folds and not (folder / "checkpoints").is_dir():
        raise ExplainError(
            f"{folder}: a cross-validation has no weights of its own; give one of its "
            f"folds, as {folds[0].parent}"
        )
    return folder


def _chosen(patterns: list[str], classes: tuple[str, ...]) -> list[int]:
    for name in patterns:
        if name not in classes:
            raise ExplainError(f"--pattern {name!r}: there are {', '.join(classes)}")
    return [k for k, name in enumerate(classes) if not patterns or name in patterns]
