import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, log_loss, roc_auc_score

from tests.tasks.made import ids, image_spec
from ultrasound_jax import tasks

CLASSES = ("benign", "malignant", "normal")
SPEC = image_spec(CLASSES)
RNG = np.random.default_rng(3)
LOGITS = RNG.normal(size=(9, 3)).astype(np.float32)
TRUTH = np.array([0, 1, 2, 0, 0, 1, 2, 1, 0])
LABELS = np.eye(3, dtype=np.int8)[TRUTH]


def task(labels=None, **options):
    return tasks.build("multiclass", SPEC, labels, options=options)


def softmax(logits):
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


def term(of, logits=LOGITS, labels=LABELS):
    batch = {"labels": jnp.asarray(labels)}
    return of.loss({"logits": jnp.asarray(logits)}, batch)["cross_entropy"]


def test_the_loss_is_the_mean_log_loss():
    found = term(task())
    expected = log_loss(TRUTH, softmax(LOGITS.astype(np.float64)))
    assert float(found.total / found.weight) == pytest.approx(expected, rel=1e-6)


def test_balanced_weights_give_each_class_the_same_say():
    balanced = task(LABELS, class_weights="balanced")
    counts = np.bincount(TRUTH)
    np.testing.assert_allclose(balanced.class_weight, 9 / (3 * counts))
    found = term(balanced)
    weights = (9 / (3 * counts))[TRUTH]
    expected = log_loss(TRUTH, softmax(LOGITS.astype(float)), sample_weight=weights)
    assert float(found.total / found.weight) == pytest.approx(expected, rel=1e-6)


def test_smoothed_labels_share_evenly():
    found = term(task(label_smoothing=0.3))
    target = 0.7 * LABELS + 0.1
    entropy = -(target * np.log(softmax(LOGITS.astype(np.float64)))).sum(axis=1)
    np.testing.assert_allclose(found.per_example, entropy, rtol=1e-5)


def test_an_example_of_unknown_class_counts_nowhere_and_has_no_gradient():
    labels = LABELS.copy()
    labels[0] = -1

    def total(logits):
        batch = {"labels": jnp.asarray(labels)}
        return task().loss({"logits": logits}, batch)["cross_entropy"].total

    wild = LOGITS.copy()
    wild[0] = [1e30, -1e30, 0]
    gradient = jax.grad(total)(jnp.asarray(wild))
    assert np.isfinite(gradient).all() and not np.asarray(gradient[0]).any()
    assert float(term(task(), wild, labels).weight) == 8


def test_scores_are_shares_and_quality_agrees_with_scikit_learn():
    of = task()
    scores = np.asarray(of.scores({"logits": LOGITS}))
    np.testing.assert_allclose(scores, softmax(LOGITS), rtol=1e-5)
    table = of.table(ids(LABELS, ("image", "image")), {"scores": scores})
    assert table.kind == "multiclass"
    found = of.quality(table)
    assert found["macro_auroc"] == pytest.approx(
        roc_auc_score(TRUTH, scores, multi_class="ovr", average="macro")
    )
    assert found["balanced_accuracy"] == pytest.approx(
        balanced_accuracy_score(TRUTH, scores.argmax(axis=1))
    )


def test_an_example_of_two_classes_is_refused_by_name():
    labels = LABELS.copy()
    labels[4] = [1, 1, 0]
    with pytest.raises(tasks.TaskError, match=r"'e4' has the labels \[1, 1, 0\]"):
        task().table(ids(labels), {"scores": softmax(LOGITS)})


def test_one_class_alone_is_refused():
    with pytest.raises(tasks.TaskError, match="two classes or more"):
        tasks.build("multiclass", image_spec(("lung",)), options={})
