"""The checkpoints in one folder, newest last, as Orbax keeps them."""

import contextlib
import os
import shutil
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from ultrasound_jax.runs.files import read_json
from ultrasound_jax.training.event_loops import waiting_loops
from ultrasound_jax.training.series_errors import (
    CheckpointError,
    ForeignCheckpointError,
)
from ultrasound_jax.training.series_path import Reachable
from ultrasound_jax.types import ArrayTree

HostState = dict[str, Any]
CHECKSUMS, BOUND = "checksums", "bound"  # what each checkpoint has beside its host's
UNDER_WAY = ".orbax-checkpoint-tmp"  # in the name of a folder that is being written
CALLED = {
    "run": "settings",
    "data": "examples",
    "splits": "patients that train, validate and test",
    "classes": "class names",
}


@dataclass(frozen=True)
class Restored:
    """One good checkpoint."""

    step: int
    tree: ArrayTree
    host: HostState


class Series:
    """The checkpoints in one folder.

    Args:
        parent: the folder of the series.
        name: of this one; made if missing, unless `writes` is False.
        keep: how many are kept; the oldest goes first.
        bound: what a checkpoint must belong to, by name.
        writes: whether anything in the folder may be changed.
        say: told about checkpoints that cannot be used.
    """

    def __init__(
        self,
        parent: Reachable,
        name: str,
        *,
        keep: int,
        bound: Mapping[str, str],
        writes: bool,
        say: Callable[[str], None],
    ) -> None:
        self.folder = parent.shown / name
        self.damaged: set[int] = set()
        self._path, self._keep = parent.path / name, keep
        self._bound, self._writes, self._say = bound, writes, say
        # What the first save of this process must give when it is read again.
        self._unproven: tuple[int, dict[str, jax.ShapeDtypeStruct]] | None = None
        self._proven = False
        self._open()

    def _open(self) -> None:
        self._manager = None
        if os.path.lexists(self.folder) and not self.folder.is_dir():
            raise CheckpointError(f"'{self.folder}' is no folder; it must be one")
        if not self._writes and not self.folder.is_dir():
            return
        self._manager = ocp.CheckpointManager(
            self._path,
            options=ocp.CheckpointManagerOptions(
                max_to_keep=self._keep if self._writes else None,
                create=self._writes,
                cleanup_tmp_directories=self._writes,
                read_only=not self._writes,
                async_options=ocp.options.AsyncOptions(
                    post_finalization_callback=self._sync_files
                ),
            ),
        )

    def steps(self) -> list[int]:
        """The steps that are there, good or not, in order."""
        return sorted(self._manager.all_steps()) if self._manager else []

    def save(self, step: int, tree: ArrayTree, host: HostState) -> None:
        """Starts writing; the arrays may change as soon as this returns."""
        if step in self.steps() or self._manager is None:
            return
        arrays = _by_name(tree)
        host = host | {CHECKSUMS: _checksums(arrays), BOUND: dict(self._bound)}
        self._manager.save(
            step,
            args=ocp.args.Composite(
                arrays=ocp.args.StandardSave(arrays), host=ocp.args.JsonSave(host)
            ),
            force=True,
        )
        if not self._proven:
            self._unproven = step, _structures(arrays)
            self.wait()

    def wait(self) -> None:
        """Waits until all that was saved is on disk; reads the first save back."""
        if self._manager is None:
            return
        self._manager.wait_until_finished()
        if self._unproven is None:
            return
        (step, wanted), self._unproven = self._unproven, None
        try:
            self._read(step, wanted)
        except Exception as error:  # Orbax has no common type for damage
            raise CheckpointError(
                f"'{self.folder / str(step)}' was saved and cannot be read back: "
                f"{_reason(error)}. Nothing can be kept there; give another --workdir"
            ) from error
        self._proven = True

    def close(self) -> None:
        """Finishes writing."""
        if self._manager is not None:
            self._manager.close()

    def restore(self, template: ArrayTree) -> Restored | None:
        """The newest good one, or None where there are none at all.

        Raises:
            CheckpointError: there are some and none can be used.
            ForeignCheckpointError: one belongs to something else.
        """
        failures: dict[int, str] = {}
        for step in reversed(self.steps()):
            try:
                wanted = _by_name(template)
                arrays, host = self._read(step, _structures(wanted))
            except ForeignCheckpointError:
                raise
            except Exception as error:  # Orbax has no common type for damage
                failures[step] = _reason(error)
                continue
            self.damaged |= {*failures}
            self._set_aside(failures)
            return Restored(step, _like(template, arrays, wanted), host)
        if failures:
            self.damaged |= {*failures}
            step, reason = next(iter(failures.items()))
            raise CheckpointError(
                f"none of the checkpoints in '{self.folder}' can be used; of {step}: "
                f"{reason}. They are left as they are; start anew in another --workdir"
            )
        return None

    def best_step(self) -> int:
        """The step of the best weights as the newest readable state knows; 0: none."""
        for step in reversed(self.steps()):
            with contextlib.suppress(Exception):
                return int(self._host(step)["progress"]["best_step"])
        return 0

    def weights_of(self, step: int, template: ArrayTree) -> ArrayTree | None:
        """What evaluation used at that step, out of the whole state of it.

        `template` is (params, stats); None where there is no such good state.
        """
        if step not in self.steps():
            return None
        wanted = _by_name(template)
        for first in ("average.0.", "params."):
            second = {"average.0.": "average.1.", "params.": "stats."}[first]
            called = {
                name: (first if name.startswith("0.") else second) + name[2:]
                for name in wanted
            }
            structures = _structures({called[n]: a for n, a in wanted.items()})
            try:
                arrays, _ = self._read(step, structures, part=True)
            except ForeignCheckpointError:
                raise
            except Exception:  # noqa: S112 - the next way of keeping weights
                continue
            found = {name: arrays[called[name]] for name in wanted}
            return _like(template, found, wanted)
        return None

    def _host(self, step: int) -> HostState:
        """What lies beside the arrays of a step, if it belongs here."""
        path = self.folder / str(step) / "host" / "metadata"
        host = read_json(path)
        if not isinstance(host, dict) or not isinstance(host.get(CHECKSUMS), dict):
            raise CheckpointError(f"{path}: it has no checksums")
        theirs = host.get(BOUND) or {}
        for name, ours in self._bound.items():
            if theirs.get(name, ours) != ours:
                raise ForeignCheckpointError(
                    f"'{self.folder / str(step)}' was not made by this run: it has "
                    f"other {CALLED.get(name, name)} ({str(theirs[name])[:12]}, here "
                    f"{ours[:12]}); move it away, or give what the run began with"
                )
        return host

    def _read(
        self,
        step: int,
        wanted: Mapping[str, jax.ShapeDtypeStruct],
        *,
        part: bool = False,
    ) -> tuple[dict[str, jax.Array], HostState]:
        """The arrays of these names, and the rest of the host's state."""
        if self._manager is None:
            raise CheckpointError(f"'{self.folder}' is not there")
        host = self._host(step)
        if part:
            arrays = _read_part(self._path / str(step) / "arrays", wanted)
        else:
            args = ocp.args.StandardRestore(dict(wanted))
            with waiting_loops():
                found = self._manager.restore(
                    step, args=ocp.args.Composite(arrays=args)
                )
            arrays = found["arrays"]
        checksums = host.pop(CHECKSUMS)
        host.pop(BOUND, None)
        wrong = [k for k, v in _checksums(arrays).items() if checksums.get(k) != v]
        if wrong or {*arrays} != {*wanted}:
            name = wrong[0] if wrong else next(iter({*arrays} ^ {*wanted}))
            raise CheckpointError(f"the checksum of '{name}' is wrong")
        return arrays, host

    def _set_aside(self, failures: Mapping[int, str]) -> None:
        """Moves damaged checkpoints away, so that their steps can be saved again."""
        if not failures:
            return
        for step, reason in failures.items():
            kept = f"damaged-{self.folder.name}-{step}"
            self._say(
                f"checkpoint {self.folder / str(step)} is damaged ({reason}); it is "
                + (f"kept as {kept} and " if self._writes else "left there and ")
                + "the one before it is used"
            )
        if not self._writes:
            return
        self.close()
        for step in failures if jax.process_index() == 0 else ():
            target = self.folder.parent / f"damaged-{self.folder.name}-{step}"
            shutil.rmtree(target, ignore_errors=True)
            (self.folder / str(step)).rename(target)
        self._open()

    def _sync_files(self) -> None:
        """Brings what is being written to the disk; Orbax renames it after this."""
        for folder in self.folder.glob(f"*{UNDER_WAY}*"):
            sync(folder)
        sync_folders([self.folder])


def sync(folder: Path) -> None:
    """Brings all files below a folder to the disk, then the folders."""
    folders = [folder]
    for path in folder.rglob("*"):
        if path.is_dir():
            folders.append(path)
            continue
        with contextlib.suppress(FileNotFoundError):  # another process moved it
            with path.open("rb") as file:
                os.fsync(file.fileno())
    sync_folders(folders)


def sync_folders(folders: Iterable[Path]) -> None:
    """Brings the names in these folders to the disk."""
    for folder in folders:
        with contextlib.suppress(OSError):  # some file systems have no such thing
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def _read_part(
    folder: Path, wanted: Mapping[str, jax.ShapeDtypeStruct]
) -> dict[str, jax.Array]:
    """Some arrays out of all that a checkpoint has."""
    kinds = {
        name: ocp.ArrayRestoreArgs(sharding=a.sharding, dtype=a.dtype)
        for name, a in wanted.items()
    }
    args = ocp.args.PyTreeRestore(
        dict(wanted), restore_args=kinds, partial_restore=True
    )
    with ocp.Checkpointer(ocp.PyTreeCheckpointHandler()) as checkpointer:
        with waiting_loops():
            return checkpointer.restore(folder, args=args)


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:200]}"


def _by_name(tree: ArrayTree) -> dict[str, jax.Array]:
    """Names every array by its path, so that files do not depend on Python classes."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {jax.tree_util.keystr(p, simple=True, separator="."): a for p, a in leaves}


def _structures(arrays: Mapping[str, Any]) -> dict[str, jax.ShapeDtypeStruct]:
    return {
        name: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=a.sharding)
        for name, a in arrays.items()
    }


def _like(
    template: ArrayTree, arrays: Mapping[str, jax.Array], names: Iterable[str]
) -> ArrayTree:
    """The tree of these arrays, in memory that JAX owns, as donation asks for."""
    leaves = [arrays[name].copy() for name in names]
    return jax.tree.unflatten(jax.tree.structure(template), leaves)


def _checksums(arrays: Mapping[str, jax.Array]) -> dict[str, int]:
    """CRC-32 of each array's bytes; every process holds all of them."""
    return {
        name: zlib.crc32(
            np.ascontiguousarray(a.addressable_data(0)).reshape(-1).view(np.uint8).data
        )
        for name, a in arrays.items()
    }
