"""From a source to batches on the host, in an order that depends on the seed alone.

The order is made of indices; pixels are read once a batch is known. Step `s` gets the
same examples however many processes or threads read them, and after any restart.
"""

from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

import grain
import numpy as np

from ultrasound_jax.data.examples import ExampleTable
from ultrasound_jax.data.spec import Batch


@runtime_checkable
class Source(Protocol):
    """What batches are read from."""

    def load(self, indices: np.ndarray) -> Batch:
        """Reads examples by their place."""
        ...


def train_batches(
    source: Source,
    indices: np.ndarray,
    *,
    batch_size: int,
    seed: int,
    weights: np.ndarray | None = None,
    process: tuple[int, int] = (0, 1),
    threads: int = 2,
    prefetch: int = 4,
) -> grain.DatasetIterator[Batch]:
    """An endless iterator whose `get_state` and `set_state` continue it.

    Args:
        source: where pixels come from.
        indices: the examples to draw from, as places in the source.
        batch_size: examples over all processes.
        seed: of the order.
        weights: probability of each of `indices`, with replacement; None shuffles anew
            each epoch, without replacement.
        process: this process's number and how many there are; each reads its rows only.
        threads: that read batches side by side.
        prefetch: batches kept ready.
    """
    rank, processes = process
    if batch_size % processes:
        raise ValueError(f"batch size {batch_size} is not divisible by {processes}")
    rows = slice(rank * batch_size // processes, (rank + 1) * batch_size // processes)
    indices = np.asarray(indices, np.int32)
    if weights is None:
        order = grain.MapDataset.source(indices).seed(seed).shuffle()  # type: ignore[arg-type]
        order = _endless(order)
    else:
        cumulative = np.cumsum(weights / np.sum(weights))

        def draw(_: Any, rng: np.random.Generator) -> np.int32:
            place = np.searchsorted(cumulative, rng.random(), side="right")
            return indices[min(int(place), len(indices) - 1)]

        order = _endless(grain.MapDataset.range(1).seed(seed)).random_map(draw)
    batches = order.batch(batch_size).map(lambda drawn: source.load(drawn[rows]))
    options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=prefetch)
    return iter(batches.to_iter_dataset(options))


def _endless(epoch: grain.MapDataset) -> grain.MapDataset:
    """Epoch after epoch, for longer than anything lasts.

    Grain's own endless dataset is as long as an index can be, and its batches of one
    are rounded to one more than that.
    """
    return epoch.repeat(2**62 // max(len(epoch), 1))


def eval_batches(
    source: Source,
    indices: np.ndarray,
    *,
    batch_size: int,
    process: tuple[int, int] = (0, 1),
    threads: int = 2,
    prefetch: int = 4,
) -> Iterator[Batch]:
    """Reads each example once, in the given order; the last batch is filled up.

    Filling rows have index -1, no frames and unknown labels.
    """
    rank, processes = process
    count = -(-len(indices) // batch_size)
    padded = np.full(count * batch_size, -1, np.int32)
    padded[: len(indices)] = indices
    mine = padded.reshape(count, processes, batch_size // processes)[:, rank]
    batches = grain.MapDataset.range(count).map(lambda i: source.load(mine[i]))
    options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=prefetch)
    return iter(batches.to_iter_dataset(options))


def sampling_weights(
    table: ExampleTable, indices: np.ndarray, rule: str
) -> np.ndarray | None:
    """How often each example is drawn, or None for each once an epoch.

    `balanced`: in proportion to the rarest pattern an example shows, so that a pattern
    with half the positives is drawn twice as often; examples without any count as one
    more pattern. `patient`: every patient alike, whatever the number of clips.
    """
    if rule == "uniform":
        return None
    if rule == "patient":
        patients = np.array([table.patient_id[i] for i in indices])
        _, inverse, counts = np.unique(
            patients, return_inverse=True, return_counts=True
        )
        return 1.0 / counts[inverse]
    positive = table.labels[indices] == 1
    shown = np.concatenate([positive, ~positive.any(axis=1, keepdims=True)], axis=1)
    return (shown / np.maximum(shown.sum(axis=0), 1)).max(axis=1)
