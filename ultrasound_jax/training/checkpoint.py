"""Saving and restoring: the only place that knows Orbax.

A run keeps its last two states in `checkpoints/latest`, from which it continues, and
the two best in `checkpoints/best`, from the newer of which it is evaluated. Beside the
arrays lies what the host knows (epoch, early stopping, the data iterator) and what the
run is bound to. Orbax writes under a temporary name and renames, so a killed process
leaves a whole checkpoint or none; files are synced to the disk before the rename, and
a checksum of every array tells a damaged one from a good one. The first save of each
process is read back at once: what cannot be read is known before hours are spent.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ultrasound_jax.training.series import HostState, Series
from ultrasound_jax.training.series_errors import (
    CheckpointError,
    ForeignCheckpointError,
)
from ultrasound_jax.training.series_path import Reachable
from ultrasound_jax.types import ArrayTree

__all__ = [
    "BestWeights",
    "CheckpointError",
    "Checkpoints",
    "ForeignCheckpointError",
    "HostState",
]


@dataclass(frozen=True)
class BestWeights:
    """Weights to judge, and what must be said of them (empty: they are the best)."""

    weights: ArrayTree
    note: str = ""


class Checkpoints:
    """A run's checkpoints: `latest`, the last two states, and `best`, the two best.

    One save is under way at a time: Orbax numbers its signals between processes by one
    counter, so that two at once take each other's and fail.

    Args:
        folder: `checkpoints` of a run.
        bound: name -> hash of what a checkpoint belongs to; written into each, and one
            that says otherwise is refused. None binds and compares nothing.
        writes: False leaves the folder as it is: nothing is made, swept or set aside,
            as a reader must beside a run that is under way.
        say: told about checkpoints that cannot be used.
    """

    def __init__(
        self,
        folder: Path,
        *,
        bound: Mapping[str, str] | None = None,
        writes: bool = True,
        say: Callable[[str], None] = print,
    ) -> None:
        self._say, self._writes = say, writes
        self._reachable = Reachable(Path(folder), make=writes)
        options = {"bound": dict(bound or {}), "writes": writes, "say": say}
        self._latest = Series(self._reachable, "latest", keep=2, **options)
        self._best = Series(self._reachable, "best", keep=2, **options)

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *error: object) -> None:
        self._latest.close()
        self._best.close()
        self._reachable.close()

    def save(self, step: int, state: ArrayTree, host: HostState) -> None:
        """Starts saving the state to continue from; it may be donated right after.

        The best weights that the state knows of are on disk before it is. The first
        save is waited for and read back.

        Raises:
            CheckpointError: what was saved cannot be read.
        """
        self.wait()
        self._latest.save(step, state, host)

    def save_best(self, step: int, weights: ArrayTree) -> None:
        """Starts saving the weights to evaluate; the first is read back, as above."""
        self.wait()
        self._best.save(step, weights, {})

    def wait(self) -> None:
        """Waits until all that was saved is on disk."""
        self._latest.wait()
        self._best.wait()

    def restore(self, template: ArrayTree) -> tuple[ArrayTree, HostState] | None:
        """The newest good state and what the host knew, or None.

        `template` gives structure, shapes, types and shardings. A damaged checkpoint is
        reported and moved aside as `damaged-<folder>-<step>`, and the one before it is
        used.

        Raises:
            CheckpointError: there are checkpoints and none of them can be used.
            ForeignCheckpointError: one is of another run, data, splits or classes.
        """
        found = self._latest.restore(template)
        return (found.tree, found.host) if found else None

    def restore_best(self, template: ArrayTree) -> ArrayTree:
        """The best weights; see `best`."""
        return self.best(template).weights

    def best(self, template: ArrayTree) -> BestWeights:
        """The best weights, from `latest` where `best` lost them and it has that step.

        Where they are lost for good, the second best are taken, and the note says so:
        it belongs into whatever is computed with them.

        Raises:
            CheckpointError: there are none; it says what to do.
            ForeignCheckpointError: they are of another run, data, splits or classes.
        """
        self.wait()
        wanted = self._latest.best_step()
        lost = ""
        try:
            found = self._best.restore(template)
        except ForeignCheckpointError:
            raise
        except CheckpointError as error:
            found, lost = None, str(error)
        newest = max([wanted, *self._best.damaged])
        if found and found.step >= newest:
            return BestWeights(found.tree)
        if wanted and (not found or found.step < wanted):
            rebuilt = self._latest.weights_of(wanted, template)
            if rebuilt is not None:
                self._say(
                    f"{self._best.folder}: the best weights, of step {wanted}, are "
                    "damaged or gone; they are taken from "
                    f"{self._latest.folder / str(wanted)}, which holds the same"
                )
                if self._writes:
                    self._best.save(wanted, rebuilt, {})
                    self.wait()
                return BestWeights(rebuilt)
        if found:
            note = (
                f"the second best, of step {found.step}: the best, of step {newest}, "
                "are damaged or gone"
            )
            return BestWeights(found.tree, note)
        raise CheckpointError(lost or self._nothing(wanted))

    def _nothing(self, wanted: int) -> str:
        if not self._latest.steps():
            return f"'{self._best.folder}' holds no checkpoint; train with --mode train"
        last = max(self._latest.steps())
        if not wanted:
            return (
                f"'{self._best.folder}' holds no checkpoint, as no epoch was judged "
                f"before step {last}; go on with --mode train"
            )
        return (
            f"'{self._best.folder}' holds no checkpoint and "
            f"'{self._latest.folder}' (step {last}) no longer has the best weights, of "
            f"step {wanted}: bring {self._best.folder.name}/{wanted} back from a copy, "
            f"or remove '{self._best.folder.parent}' and train anew"
        )


def check_folder(folder: Path) -> None:
    """Refuses a run's folder whose name no run could save under; before any work.

    Raises:
        CheckpointError: its name is not UTF-8.
    """
    try:
        os.fspath(folder).encode()
    except UnicodeEncodeError as error:
        shown = os.fsencode(folder).decode(errors="backslashreplace")
        raise CheckpointError(
            f"--workdir '{shown}' is not UTF-8, and no checkpoint could be saved under "
            "it; give a name of UTF-8 letters"
        ) from error
