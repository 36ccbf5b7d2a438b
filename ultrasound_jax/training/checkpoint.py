"""Saving and restoring: the only place that knows Orbax.

A run keeps its last two states in `checkpoints/latest`, from which it continues, and
the two best in `checkpoints/best`, from the newer of which it is evaluated. Beside the
arrays lies what the host knows (epoch, early stopping, the data iterator). Orbax writes
under a temporary name and renames, so a killed process leaves a whole checkpoint or
none; a checksum of every array tells a damaged one from a good one.
"""

import shutil
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from ultrasound_jax.types import ArrayTree, UltrasoundError

HostState = dict[str, Any]


class CheckpointError(UltrasoundError):
    """A folder of checkpoints from which nothing can be restored."""


class Checkpoints:
    """A run's checkpoints: `latest`, the last two states, and `best`, the two best.

    One save is under way at a time: Orbax numbers its signals between processes by one
    counter, so that two at once take each other's and fail.
    """

    def __init__(self, folder: Path, *, say: Callable[[str], None] = print) -> None:
        self._latest = _Series(Path(folder) / "latest", keep=2, say=say)
        self._best = _Series(Path(folder) / "best", keep=2, say=say)

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *error: object) -> None:
        self._latest.close()
        self._best.close()

    def save(self, step: int, state: ArrayTree, host: HostState) -> None:
        """Starts saving the state to continue from; it may be donated right after.

        The best weights that the state knows of are on disk before it is.
        """
        self.wait()
        self._latest.save(step, state, host)

    def save_best(self, step: int, weights: ArrayTree) -> None:
        """Starts saving the weights to evaluate."""
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
        used; CheckpointError if there are checkpoints and none of them can be used.
        """
        return self._latest.restore(template)

    def restore_best(self, template: ArrayTree) -> ArrayTree:
        """The best weights; CheckpointError where there are none."""
        self._best.wait()
        restored = self._best.restore(template)
        if restored is None:
            raise CheckpointError(
                f"'{self._best.folder}' holds no checkpoint; train with --mode train"
            )
        return restored[0]


class _Series:
    """The checkpoints in one folder, newest last.

    Args:
        folder: made if missing.
        keep: how many are kept; the oldest goes first.
        say: told about checkpoints that cannot be used.
    """

    def __init__(self, folder: Path, *, keep: int, say: Callable[[str], None]) -> None:
        self.folder = Path(folder).absolute()
        self._say = say
        self._keep = keep
        self._open()

    def _open(self) -> None:
        self._manager = ocp.CheckpointManager(
            self.folder,
            options=ocp.CheckpointManagerOptions(
                max_to_keep=self._keep, create=True, cleanup_tmp_directories=True
            ),
        )

    def save(self, step: int, tree: ArrayTree, host: HostState) -> None:
        """Starts writing; the arrays may change as soon as this returns."""
        if step in self._manager.all_steps():
            return
        arrays = _by_name(tree)
        host = host | {"checksums": _checksums(arrays)}
        self._manager.save(
            step,
            args=ocp.args.Composite(
                arrays=ocp.args.StandardSave(arrays), host=ocp.args.JsonSave(host)
            ),
            force=True,
        )

    def wait(self) -> None:
        """Waits until all that was saved is on disk."""
        self._manager.wait_until_finished()

    def close(self) -> None:
        """Finishes writing."""
        self._manager.close()

    def restore(self, template: ArrayTree) -> tuple[ArrayTree, HostState] | None:
        """The newest good one, or None where there are none at all."""
        failures: dict[int, str] = {}
        for step in sorted(self._manager.all_steps(), reverse=True):
            try:
                restored = self._restore(step, template)
            except Exception as error:  # Orbax has no common type for damage
                reason = str(error).strip().splitlines() or [""]
                failures[step] = f"{type(error).__name__}: {reason[0][:200]}"
                continue
            self._set_aside(failures)
            return restored
        if failures:
            step, reason = next(iter(failures.items()))
            raise CheckpointError(
                f"none of the checkpoints in '{self.folder}' can be used; of {step}: "
                f"{reason}. They are left as they are; start anew in another --workdir"
            )
        return None

    def _restore(self, step: int, template: ArrayTree) -> tuple[ArrayTree, HostState]:
        wanted = _by_name(template)
        shapes = {
            name: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=a.sharding)
            for name, a in wanted.items()
        }
        restored = self._manager.restore(
            step,
            args=ocp.args.Composite(
                arrays=ocp.args.StandardRestore(shapes), host=ocp.args.JsonRestore()
            ),
        )
        arrays, host = restored["arrays"], restored["host"]
        checksums = host.pop("checksums")
        wrong = [k for k, v in _checksums(arrays).items() if checksums.get(k) != v]
        if wrong:
            raise CheckpointError(f"the checksum of '{wrong[0]}' is wrong")
        leaves = [_owned(arrays[name]) for name in wanted]
        return jax.tree.unflatten(jax.tree.structure(template), leaves), host

    def _set_aside(self, failures: Mapping[int, str]) -> None:
        """Moves damaged checkpoints away, so that their steps can be saved again."""
        if not failures:
            return
        self._manager.close()
        for step, reason in failures.items():
            damaged = self.folder / str(step)
            target = self.folder.parent / f"damaged-{self.folder.name}-{step}"
            self._say(
                f"checkpoint {damaged} is damaged ({reason}); it is kept as "
                f"{target.name} and the one before it is used"
            )
            if jax.process_index() == 0:
                shutil.rmtree(target, ignore_errors=True)
                damaged.rename(target)
        self._open()


def _by_name(tree: ArrayTree) -> dict[str, jax.Array]:
    """Names every array by its path, so that files do not depend on Python classes."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {jax.tree_util.keystr(p, simple=True, separator="."): a for p, a in leaves}


def _owned(array: jax.Array) -> jax.Array:
    """Copies into memory that JAX owns, as donation asks for."""
    return array.copy()


def _checksums(arrays: Mapping[str, jax.Array]) -> dict[str, int]:
    """CRC-32 of each array's bytes; every process holds all of them."""
    return {
        name: zlib.crc32(
            np.ascontiguousarray(a.addressable_data(0)).reshape(-1).view(np.uint8).data
        )
        for name, a in arrays.items()
    }
