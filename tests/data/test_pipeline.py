import numpy as np
import pytest

from ultrasound_jax.data import pipeline
from ultrasound_jax.data.examples import ExampleTable


class Counting:
    """A source whose clips say which example they are."""

    def load(self, indices):
        indices = np.asarray(indices, np.int32)
        return {
            "clip": np.repeat(indices.astype(np.uint8), 2).reshape(-1, 2, 1, 1, 1),
            "length": np.full(len(indices), 2, np.int32),
            "labels": np.zeros((len(indices), 4), np.int8),
            "index": indices,
        }


def take(iterator, count):
    return [next(iterator)["index"].tolist() for _ in range(count)]


def batches(places=range(10, 22), **options):
    options = {"batch_size": 4, "seed": 1} | options
    return pipeline.train_batches(Counting(), np.array(places), **options)


def test_an_epoch_draws_every_example_once_and_the_next_in_another_order():
    first, second = np.array(take(batches(), 6)).reshape(2, -1)
    assert sorted(first) == sorted(second) == list(range(10, 22))
    assert first.tolist() != second.tolist()


def test_the_seed_decides_the_order_and_threads_do_not():
    assert take(batches(threads=1), 5) == take(batches(threads=3, prefetch=1), 5)
    assert take(batches(), 5) != take(batches(seed=2), 5)


def test_a_restored_iterator_goes_on_where_it_was():
    reader = batches()
    take(reader, 4)
    state, rest = reader.get_state(), take(reader, 5)
    other = batches()
    other.set_state(state)
    assert take(other, 5) == rest


@pytest.mark.parametrize("weights", [None, np.ones(12)], ids=["uniform", "weighted"])
def test_batches_of_one_have_what_batches_of_two_have(weights):
    ones = take(batches(batch_size=1, weights=weights), 30)
    assert {len(batch) for batch in ones} == {1}
    assert (
        np.ravel(ones).tolist()
        == np.ravel(take(batches(batch_size=2, weights=weights), 15)).tolist()
    )


def test_two_processes_read_the_rows_that_one_would():
    whole = take(batches(), 4)
    halves = [take(batches(process=(rank, 2)), 4) for rank in range(2)]
    joined = [a + b for a, b in zip(*halves, strict=True)]
    assert joined == whole


def test_weights_decide_how_often_an_example_is_drawn():
    weights = np.array([0.0, 1.0, 3.0])
    drawn = take(batches([5, 6, 7], weights=weights, batch_size=8), 200)
    counts = np.bincount(np.ravel(drawn), minlength=8)[5:]
    assert counts[0] == 0
    # 1600 draws with p=3/4: a standard deviation of 17.
    assert abs(counts[2] - 1200) < 90


def test_evaluation_reads_each_example_once_and_fills_the_last_batch():
    reader = pipeline.eval_batches(Counting(), np.arange(5), batch_size=2)
    assert [b["index"].tolist() for b in reader] == [[0, 1], [2, 3], [4, -1]]


def test_evaluation_in_two_processes_keeps_the_order_of_rows():
    parts = [
        [
            b["index"].tolist()
            for b in pipeline.eval_batches(
                Counting(), np.arange(5), batch_size=4, process=(rank, 2)
            )
        ]
        for rank in range(2)
    ]
    joined = [a + b for a, b in zip(*parts, strict=True)]
    assert joined == [[0, 1, 2, 3], [4, -1, -1, -1]]


@pytest.fixture
def table():
    labels = np.array([[1, 0], [1, 0], [1, 1], [0, -1], [1, 0]], np.int8)
    return ExampleTable(
        example_id=tuple("abcde"),
        video_id=tuple("vwxyz"),
        patient_id=tuple("ppppq"),
        labels=labels,
        classes=("common", "rare"),
        data_hash="",
    )


def test_sampling_by_patient_gives_each_patient_the_same_share(table):
    weights = pipeline.sampling_weights(table, np.arange(5), "patient")
    assert weights is not None
    np.testing.assert_allclose(weights[:4].sum(), weights[4])


def test_balanced_sampling_prefers_the_rare_and_the_empty(table):
    weights = pipeline.sampling_weights(table, np.arange(5), "balanced")
    np.testing.assert_allclose(weights, [0.25, 0.25, 1.0, 1.0, 0.25])


def test_uniform_sampling_needs_no_weights(table):
    assert pipeline.sampling_weights(table, np.arange(5), "uniform") is None
