"""One worker of a study: takes what nobody works on, until nothing is left to take.

Any number of workers, on any hosts that share the folder, run the same command. Each
piece of work has a lock file beside it (`locks.py` says when a dead worker's is taken
over); what is finished is known by the file that it ends with, so nothing runs twice
and whatever was interrupted continues from its own checkpoint.
"""

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import jax

from ultrasound_jax import workdir as workdirs
from ultrasound_jax.runs import locks
from ultrasound_jax.study.crossval import cross_validate
from ultrasound_jax.study.plan import Study
from ultrasound_jax.study.tune import tune
from ultrasound_jax.train import train_and_evaluate
from ultrasound_jax.types import UltrasoundError

POLL_SECONDS = 5.0


@dataclass(frozen=True)
class Piece:
    """What one worker does at a time; `needs` are the pieces that come before it."""

    title: str
    lock: Path
    done: Callable[[], bool]
    work: Callable[[], object]
    needs: "tuple[Piece, ...]" = ()


@dataclass(frozen=True)
class Outcome:
    """What became of a worker's turn: titles of pieces, and why some failed."""

    done: tuple[str, ...]
    elsewhere: tuple[str, ...]
    failed: dict[str, str]
    blocked: tuple[str, ...]


def pieces_of(study: Study) -> list[Piece]:
    """All pieces in the order in which a single worker does them."""
    pieces: list[Piece] = []
    for name in study.configs:
        before = (_search(study, name),) if study.trials else ()
        folds = tuple(_fold(study, name, fold, before) for fold in study.folds)
        pieces += [*before, *folds, _pooling(study, name, folds)]
    return pieces


def _search(study: Study, name: str) -> Piece:
    folder = study.tune_folder(name)
    return Piece(
        title=f"{name}, learning rate",
        lock=study.folder / "locks" / f"tune-{name}",
        done=lambda: study.tuned(name) is not None,
        work=lambda: tune(study.to_tune(name), folder),
    )


def _fold(study: Study, name: str, fold: int, before: tuple[Piece, ...]) -> Piece:
    folder = study.run_folder(name) / f"fold_{fold}"
    return Piece(
        title=f"{name}, fold {fold}",
        lock=study.folder / "locks" / f"{name}-fold_{fold}",
        done=(folder / "metrics.json").exists,
        work=lambda: _train_fold(study, name, fold),
        needs=before,
    )


def _train_fold(study: Study, name: str, fold: int) -> None:
    """Trains in a folder of the folder that the pooled predictions go to."""
    pooled = study.run_folder(name)
    with locks.wait_for(study.folder / "locks" / f"{name}-begun"):
        workdirs.claim_workdir(study.of_fold(name, 0), pooled)
    train_and_evaluate(study.of_fold(name, fold), pooled / f"fold_{fold}")


def _pooling(study: Study, name: str, folds: tuple[Piece, ...]) -> Piece:
    folder = study.run_folder(name)
    return Piece(
        title=f"{name}, all folds",
        lock=study.folder / "locks" / f"{name}-pooled",
        done=(folder / "metrics.json").exists,
        work=lambda: cross_validate(study.of_fold(name, 0), folder),
        needs=folds,
    )


def work(
    pieces: Sequence[Piece],
    say: Callable[[str], None],
    leave: Callable[[], int] = lambda: 0,
) -> Outcome:
    """Does what is free, waits for what others must finish first, and says how it went.

    Returns as soon as each piece is done, failed here, waits for one that failed, or is
    in another worker's hands with nothing behind it that could be done then. A piece
    that fails by an error of ours, or for want of memory on the device, does not keep
    the others from being done. Raises KeyboardInterrupt as soon as `leave` says so
    between two pieces.
    """
    failed: dict[str, str] = {}
    while True:
        open_pieces = [p for p in pieces if p.title not in failed and not p.done()]
        blocked = _blocked(open_pieces, failed)
        free = [p for p in open_pieces if p.title not in blocked]
        ready = [p for p in free if all(n.done() for n in p.needs)]
        if leave():
            raise KeyboardInterrupt
        if any(_try(piece, failed, say) for piece in ready):
            continue
        elsewhere = tuple(p.title for p in ready if not p.done())
        waiting = [p for p in free if p not in ready]
        if not elsewhere and not waiting:
            done = tuple(p.title for p in pieces if p.done())
            return Outcome(done, (), failed, tuple(blocked))
        if not elsewhere:  # what others held ended while this one looked
            continue
        if not _worth_waiting(waiting, elsewhere):
            holders = {locks.holder(p.lock) for p in ready if not p.done()}
            say(f"left to {', '.join(sorted(holders))}: {', '.join(elsewhere)}")
            done = tuple(p.title for p in pieces if p.done())
            return Outcome(done, elsewhere, failed, tuple(blocked))
        time.sleep(POLL_SECONDS)


def _blocked(pieces: Sequence[Piece], failed: dict[str, str]) -> list[str]:
    """What can never be done, as something that it needs has failed."""
    titles: list[str] = []
    for piece in pieces:
        if any(n.title in failed or n.title in titles for n in piece.needs):
            titles.append(piece.title)
    return titles


def _worth_waiting(waiting: Sequence[Piece], elsewhere: Sequence[str]) -> bool:
    """True if more than one piece comes free when others' work ends.

    The worker that ends last does the rest; a second one is of use where a search ends
    and several folds can begin.
    """
    after_one = [
        p for p in waiting if sum(n.title in elsewhere for n in p.needs) and p.needs
    ]
    return any(
        sum(title in {n.title for n in p.needs} for p in after_one) > 1
        for title in elsewhere
    )


def _try(piece: Piece, failed: dict[str, str], say: Callable[[str], None]) -> bool:
    """True if the piece was ours to do, whatever came of it."""
    with locks.attempt(piece.lock) as mine:
        if not mine or piece.done():
            return False
        say(f"== {piece.title}")
        try:
            piece.work()
        except (UltrasoundError, jax.errors.JaxRuntimeError) as error:
            failed[piece.title] = " ".join(str(error).split())
            say(f"{piece.title} failed: {failed[piece.title]}")
        finally:
            jax.clear_caches()
            gc.collect()
    return True
