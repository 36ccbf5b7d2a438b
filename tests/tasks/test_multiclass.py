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


def term(of, logits=LOGITS, labels=LABELS, name="cross_entropy"):
    batch = {"labels": jnp.asarray(labels)}
    return of.loss({"logits": jnp.asarray(logits)}, batch)[name]


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


def focal(gamma, alpha):
    """The skin-tumour study's formula, written down once more."""
    found = softmax(LOGITS.astype(np.float64))[np.arange(len(TRUTH)), TRUTH] + 1e-6
    return -np.asarray(alpha)[TRUTH] * (1 - found) ** gamma * np.log(found)


@pytest.mark.parametrize(
    ("options", "gamma", "alpha"),
    [
        ({"alpha": "published"}, 3, (0.75, 0.75, 0.25)),
        ({"gamma": 2.0}, 2, (1, 1, 1)),
        ({"gamma": 0, "alpha": [0.5, 1, 2]}, 0, (0.5, 1, 2)),
        (
            {"gamma": 0.5, "alpha": "inverse_frequency"},
            0.5,
            9 / (3 * np.bincount(TRUTH)),
        ),
    ],
)
def test_the_focal_loss_is_the_studys_formula(options, gamma, alpha):
    of = task(LABELS, loss="focal", **options)
    labels = LABELS.copy()
    labels[4] = -1
    found = term(of, labels=labels, name="focal")
    expected = focal(gamma, alpha)
    expected[4] = 0
    np.testing.assert_allclose(found.per_example, expected, rtol=1e-5)
    assert float(found.weight) == 8, "a mean over examples, however they are weighed"
    assert of.weights({"labels": jnp.asarray(labels)}) == {"focal": found.weight}


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.5, 3.0])
def test_the_focal_loss_has_a_gradient_where_nothing_is_missed(gamma):
    of = task(loss="focal", gamma=gamma)

    def total(logits):
        batch = {"labels": jnp.asarray(LABELS)}
        return of.loss({"logits": logits}, batch)["focal"].total

    sure = jnp.asarray(LABELS * 1e3 + LOGITS)
    assert np.isfinite(jax.grad(total)(sure)).all()
    assert np.abs(jax.grad(total)(jnp.asarray(LOGITS))).min() > 0


def test_two_classes_may_share_one_logit():
    spec = image_spec(("benign", "malignant"))
    truth = TRUTH % 2
    labels = np.eye(2, dtype=np.int8)[truth]
    options = {"loss": "bce", "class_weights": "balanced"}
    of = tasks.build("multiclass", spec, labels, options=options)
    assert (of.outputs, of.classes) == (1, ("benign", "malignant"))
    logits = LOGITS[:, :1]
    found = term(of, logits, labels, "bce")
    malignant = 1 / (1 + np.exp(-logits[:, 0].astype(float)))
    weights = (9 / (2 * np.bincount(truth)))[truth]
    expected = log_loss(truth, malignant, sample_weight=weights)
    assert float(found.total / found.weight) == pytest.approx(expected, rel=1e-6)
    scores = np.asarray(of.scores({"logits": logits}))
    np.testing.assert_allclose(scores[:, 1], malignant, rtol=1e-5)
    table = of.table(ids(labels, ("image", "image")), {"scores": scores})
    assert table.kind == "multiclass"
    assert of.quality(table)["balanced_accuracy"] == pytest.approx(
        balanced_accuracy_score(truth, logits[:, 0] > 0)
    )


def test_smoothed_labels_of_one_logit_share_evenly():
    spec = image_spec(("benign", "malignant"))
    labels = np.eye(2, dtype=np.int8)[TRUTH % 2]
    options = {"loss": "bce", "label_smoothing": 0.2}
    of = tasks.build("multiclass", spec, options=options)
    found = term(of, LOGITS[:, :1], labels, "bce").per_example
    p = 1 / (1 + np.exp(-LOGITS[:, 0].astype(float)))
    target = 0.8 * (TRUTH % 2) + 0.1
    expected = -(target * np.log(p) + (1 - target) * np.log(1 - p))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"loss": "dice"}, "loss='dice'.*one of cross_entropy, focal, bce"),
        (
            {"gamma": 2.0},
            "gamma=2.0 is not used by loss='cross_entropy'; it is of focal",
        ),
        ({"alpha": "published"}, "alpha='published' is not used by loss='cross_ent"),
        (
            {"loss": "focal", "class_weights": "balanced"},
            "class_weights='balanced' is n",
        ),
        ({"loss": "focal", "label_smoothing": 0.1}, "it is of cross_entropy or bce"),
        (
            {"loss": "focal", "gamma": -1},
            "gamma=-1 is not allowed: it must be 0 or more",
        ),
        ({"loss": "focal", "gamma": "much"}, "refuses config.task.options"),
        (
            {"loss": "focal", "alpha": "rare"},
            "alpha='rare'.*inverse_frequency, or a number",
        ),
        (
            {"loss": "focal", "alpha": [0.5, 0.5]},
            "for each of benign, malignant, normal",
        ),
        ({"loss": "focal", "alpha": [1, 1, 0]}, r"alpha=\[1, 1, 0\].*above 0"),
        ({"loss": "bce"}, "loss='bce'.*two classes; the dataset has benign, malignant"),
    ],
)
def test_what_a_loss_does_not_use_is_refused(options, words):
    with pytest.raises(tasks.TaskError, match=words) as error:
        task(LABELS, **options)
    assert "\n" not in str(error.value)


def test_the_published_weights_are_of_three_classes():
    options = {"loss": "focal", "alpha": "published"}
    with pytest.raises(tasks.TaskError, match="alpha='published' is not allowed"):
        tasks.build("multiclass", image_spec(("a", "b")), options=options)
