import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from tests.tasks.made import clip_spec, ids
from ultrasound_jax import tasks
from ultrasound_jax.tasks import multilabel
from ultrasound_jax.tasks.multilabel import MultiLabel, positive_weights
from ultrasound_jax.training.losses import binary_cross_entropy

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(6, 3)).astype(np.float32)
LABELS = np.array([[1, 0, 1], [0, 0, 1], [1, 1, 0]] * 2, np.int8)
TASK = tasks.build("multilabel", clip_spec(("a", "b", "c")), options={})


def batch(labels):
    return {"labels": jnp.asarray(labels)}


def loss(logits, labels):
    terms = TASK.loss({"logits": jnp.asarray(logits)}, batch(labels))
    assert list(terms) == ["cross_entropy"]
    return terms["cross_entropy"]


def table(scores, labels):
    return TASK.table(ids(labels), {"scores": scores})


def test_the_loss_is_the_mean_cross_entropy():
    term = loss(LOGITS, LABELS)
    expected = log_loss(LABELS.ravel(), 1 / (1 + np.exp(-LOGITS.ravel())))
    assert float(term.total / term.weight) == pytest.approx(expected, rel=1e-6)
    np.testing.assert_allclose(term.per_example.sum(), term.total, rtol=1e-6)


def test_an_unknown_label_counts_nowhere():
    labels = LABELS.copy()
    labels[:, 1] = -1
    wild = LOGITS.copy()
    wild[:, 1] = 1e4
    term = loss(wild, labels)
    kept = [0, 2]
    expected = log_loss(
        LABELS[:, kept].ravel(), 1 / (1 + np.exp(-LOGITS[:, kept].ravel()))
    )
    assert float(term.weight) == 12
    assert float(term.total / term.weight) == pytest.approx(expected, rel=1e-6)


def test_the_weight_of_a_batch_is_that_of_its_loss():
    labels = LABELS.copy()
    labels[0] = -1
    assert TASK.weights(batch(labels)) == {"cross_entropy": loss(LOGITS, labels).weight}


def test_positive_weights_multiply_positive_terms_only():
    plain = binary_cross_entropy(jnp.asarray(LOGITS), jnp.asarray(LABELS, jnp.int32))
    weighted = binary_cross_entropy(
        jnp.asarray(LOGITS), jnp.asarray(LABELS, jnp.int32), jnp.array([1.0, 2.0, 5.0])
    )
    factor = np.where(LABELS == 1, [1.0, 2.0, 5.0], 1.0)
    np.testing.assert_allclose(weighted, plain * factor, rtol=1e-6)


def test_the_class_balance_leaves_unknown_labels_out():
    labels = np.array([[1, 1], [1, 0], [1, 0], [1, 0], [0, -1]], np.int8)
    assert positive_weights(labels) == (0.25, 3.0)
    options = {"class_weights": "balanced"}
    spec = clip_spec(("common", "rare"))
    task = tasks.build("multilabel", spec, labels, options=options)
    assert task.positive_weight == (0.25, 3.0)


def test_quality_is_the_macro_auroc_over_defined_classes():
    labels = LABELS.copy()
    labels[:, 2] = 1  # no negatives: not defined
    scores = 1 / (1 + np.exp(-LOGITS))
    expected = np.mean([roc_auc_score(labels[:, k], scores[:, k]) for k in (0, 1)])
    assert TASK.quality(table(scores, labels)) == {
        "macro_auroc": pytest.approx(expected)
    }
    assert TASK.quality(table(scores, np.ones_like(LABELS))) == {}


def test_pixels_reach_the_network_as_fractions():
    clip = jnp.full((1, 2, 4, 4, 1), 255, jnp.uint8)
    fields = TASK.floats({"clip": clip, "clip_length": jnp.array([2])})
    inputs = TASK.inputs(fields)
    assert set(inputs) == {"clip", "lengths"}
    assert inputs["clip"].dtype == jnp.float32
    assert float(inputs["clip"].max()) == 1.0
    assert inputs["lengths"].tolist() == [2]


def test_an_unknown_option_lists_those_there_are():
    with pytest.raises(tasks.TaskError, match=r"options\.dice.*it has class_weights"):
        tasks.build("multilabel", clip_spec(("a",)), options={"dice": 1.0})
    with pytest.raises(tasks.TaskError, match="there are: multiclass, multilabel, ord"):
        tasks.build("classify", clip_spec(("a",)), options={})
    with pytest.raises(tasks.TaskError, match="one of none, balanced"):
        tasks.build("multilabel", clip_spec(("a",)), options={"class_weights": "x"})


def test_an_option_needs_a_default(monkeypatch):
    """Without one its value would be a class of Python's `inspect`."""

    class Needing(MultiLabel):
        @classmethod
        def make(cls, spec, labels=None, *, gamma):
            raise AssertionError

    monkeypatch.setattr(multilabel, "TASK", Needing)
    with pytest.raises(tasks.TaskError, match="its option gamma has no default"):
        tasks.options_of("multilabel")


@pytest.mark.parametrize("value", ["much", None, [0.1]])
def test_a_value_that_a_task_cannot_use_is_one_line(value):
    spec = clip_spec(("a", "b"), frames=4, side=8)
    with pytest.raises(tasks.TaskError, match="refuses config.task.options: ") as error:
        tasks.build("multiclass", spec, options={"label_smoothing": value})
    assert "\n" not in str(error.value)
