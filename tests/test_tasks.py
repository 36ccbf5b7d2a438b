import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from ultrasound_jax.tasks import MultiLabelClips
from ultrasound_jax.training.losses import binary_cross_entropy

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(6, 3)).astype(np.float32)
LABELS = np.array([[1, 0, 1], [0, 0, 1], [1, 1, 0]] * 2, np.int8)
TASK = MultiLabelClips(("a", "b", "c"))


def batch(labels):
    return {"labels": jnp.asarray(labels)}


def test_the_loss_is_the_mean_cross_entropy():
    terms = TASK.loss({"logits": jnp.asarray(LOGITS)}, batch(LABELS))
    expected = log_loss(LABELS.ravel(), 1 / (1 + np.exp(-LOGITS.ravel())))
    assert float(terms.total / terms.weight) == pytest.approx(expected, rel=1e-6)
    np.testing.assert_allclose(terms.per_example.sum(), terms.total, rtol=1e-6)


def test_an_unknown_label_counts_nowhere():
    labels = LABELS.copy()
    labels[:, 1] = -1
    wild = LOGITS.copy()
    wild[:, 1] = 1e4
    terms = TASK.loss({"logits": jnp.asarray(wild)}, batch(labels))
    kept = [0, 2]
    expected = log_loss(
        LABELS[:, kept].ravel(), 1 / (1 + np.exp(-LOGITS[:, kept].ravel()))
    )
    assert float(terms.weight) == 12
    assert float(terms.total / terms.weight) == pytest.approx(expected, rel=1e-6)


def test_positive_weights_multiply_positive_terms_only():
    plain = binary_cross_entropy(jnp.asarray(LOGITS), jnp.asarray(LABELS, jnp.int32))
    weighted = binary_cross_entropy(
        jnp.asarray(LOGITS), jnp.asarray(LABELS, jnp.int32), jnp.array([1.0, 2.0, 5.0])
    )
    factor = np.where(LABELS == 1, [1.0, 2.0, 5.0], 1.0)
    np.testing.assert_allclose(weighted, plain * factor, rtol=1e-6)


def test_quality_is_the_macro_auroc_over_defined_classes():
    labels = LABELS.copy()
    labels[:, 2] = 1  # no negatives: not defined
    expected = np.mean([roc_auc_score(labels[:, k], LOGITS[:, k]) for k in (0, 1)])
    assert TASK.quality(LOGITS, labels) == pytest.approx(expected)
    assert TASK.quality(LOGITS, np.ones_like(LABELS)) is None


def test_pixels_reach_the_network_as_fractions():
    pixels, lengths = TASK.inputs(
        {"clip": jnp.full((1, 2, 4, 4, 1), 255, jnp.uint8), "length": jnp.array([2])}
    )
    assert pixels.dtype == jnp.float32
    assert float(pixels.max()) == 1.0
    assert lengths.tolist() == [2]
