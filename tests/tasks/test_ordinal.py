import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit
from sklearn.metrics import cohen_kappa_score, mean_absolute_error

from tests.tasks.made import clip_spec, ids, image_spec, labels_field
from ultrasound_jax import tasks
from ultrasound_jax.data.spec import Field, Spec

LEVELS = ("0", "1", "2", "3")
RNG = np.random.default_rng(4)
LOGITS = RNG.normal(size=(8, 3)).astype(np.float32)
TRUTH = np.array([0, 3, 2, 1, 2, 0, -1, 4])  # the last two are no level
INDEX = np.arange(8)
PIXELS = Field(shape=(None, 4, 4, 1), dtype="uint8", role="pixels", longest=2)
SEVERITY = Field(shape=(), dtype="int8", role="number", classes=LEVELS)


def spec_of(**fields):
    return Spec({"clip": PIXELS, **fields})


OF_NUMBER = tasks.build(
    "ordinal",
    spec_of(severity=SEVERITY, labels=labels_field(("a_line", "b_line"))),
    options={},
)
OF_LABELS = tasks.build("ordinal", image_spec(LEVELS), options={})


def batch(truth=TRUTH, index=INDEX):
    hot = (np.asarray(truth)[:, None] == np.arange(4)).astype(np.int8)
    hot[np.asarray(truth) < 0] = -1
    return {
        "severity": jnp.asarray(truth, "int8"),
        "labels": jnp.asarray(hot),
        "index": jnp.asarray(index),
    }


def shares(logits):
    """Each level's probability in float64, from the cumulative ones."""
    logits = np.asarray(logits, np.float64)
    apart = np.log1p(np.exp(logits[:, 1:])) + 1e-4
    reached = np.cumsum(np.concatenate([logits[:, :1], -apart], 1), 1)
    above = expit(reached)
    whole = np.ones((len(logits), 1))
    return -np.diff(np.concatenate([whole, above, 0 * whole], 1))


@pytest.mark.parametrize("task", [OF_NUMBER, OF_LABELS], ids=["number", "labels"])
def test_the_loss_is_the_log_of_the_true_levels_share(task):
    assert (task.outputs, task.classes) == (3, LEVELS)
    found = task.loss({"logits": jnp.asarray(LOGITS)}, batch())["ordinal"]
    expected = -np.log(shares(LOGITS)[np.arange(6), TRUTH[:6]])
    np.testing.assert_allclose(found.per_example[:6], expected, rtol=1e-5)
    assert not np.asarray(found.per_example[6:]).any() and float(found.weight) == 6
    np.testing.assert_allclose(found.total, expected.sum(), rtol=1e-5)
    assert task.weights(batch()) == {"ordinal": found.weight}


def test_shares_add_to_one_and_thresholds_are_in_order_whatever_the_logits():
    wild = np.concatenate([LOGITS, 40 * LOGITS, -200 * np.abs(LOGITS)])
    scores = np.asarray(OF_NUMBER.scores({"logits": wild}))
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(scores, shares(wild), atol=1e-5)
    log_shares = np.asarray(OF_NUMBER.log_shares({"logits": wild}))
    assert np.isfinite(log_shares).all() and (log_shares <= 0).all()


def test_a_row_that_only_fills_a_batch_is_of_no_level_and_has_no_gradient():
    index = np.array([*range(7), -1])
    truth = np.array([0, 1, 2, 3, 0, 1, -1, 0])
    for task in (OF_NUMBER, OF_LABELS):

        def total(logits, task=task):
            return task.loss({"logits": logits}, batch(truth, index))["ordinal"].total

        logits = LOGITS.copy()
        logits[6:] = 1e30, -1e30, 1e30
        gradient = np.asarray(jax.grad(total)(jnp.asarray(logits)))
        assert np.isfinite(gradient).all() and not gradient[6:].any()
        assert np.abs(gradient[:6]).max(axis=1).min() > 0
        assert float(task.weights(batch(truth, index))["ordinal"]) == 6


def test_two_levels_are_a_logistic_regression():
    task = tasks.build("ordinal", image_spec(("0", "1")), options={})
    logits = LOGITS[:, :1]
    scores = np.asarray(task.scores({"logits": logits}))
    np.testing.assert_allclose(scores[:, 1], expit(logits[:, 0]), rtol=1e-5)


@pytest.mark.parametrize("task", [OF_NUMBER, OF_LABELS], ids=["number", "labels"])
def test_quality_agrees_with_scikit_learn(task):
    out = {"logits": jnp.asarray(LOGITS)}
    kept = jax.device_get(task.keep(out, batch()))
    columns = task.columns(kept, full=True)
    table = task.table(ids(np.zeros((8, 2), np.int8)), columns)
    assert table.kind == "multiclass" and np.isnan(table.labels[6:]).all()
    decided = table.scores.argmax(axis=1)[:6]
    found = task.quality(table)
    kappa = cohen_kappa_score(TRUTH[:6], decided, weights="quadratic")
    assert found["quadratic_kappa"] == pytest.approx(kappa)
    error = mean_absolute_error(TRUTH[:6], decided)
    assert found["mean_absolute_error"] == pytest.approx(error)
    assert 0 <= found["macro_auroc"] <= 1
    nobody = task.table(
        ids(np.zeros((2, 2), np.int8)),
        {"scores": columns["scores"][6:], "level": columns["level"][6:]},
    )
    assert task.quality(nobody) == {}


@pytest.mark.parametrize(
    ("spec", "field", "words"),
    [
        (spec_of(), "", "needs one field with levels; the dataset has none"),
        (
            spec_of(severity=SEVERITY, other=SEVERITY),
            "",
            "has severity, other: give config.task.options.field",
        ),
        (spec_of(severity=SEVERITY), "labels", "field='labels'.*one of severity"),
        (clip_spec(("mild", "none", "severe")), "", "are mild, none, severe; levels"),
        (clip_spec(("0", "1", "3")), "", "consecutive numbers"),
        (clip_spec(("2",)), "", "consecutive numbers"),
    ],
)
def test_what_has_no_levels_is_refused(spec, field, words):
    with pytest.raises(tasks.TaskError, match=words) as error:
        tasks.build("ordinal", spec, options={"field": field})
    assert "\n" not in str(error.value)


def test_a_run_is_reopened_with_the_field_that_it_was_trained_on():
    """Of its own specification alone, in which there is nothing to choose from."""
    both = spec_of(labels=labels_field(LEVELS), severity=SEVERITY)
    for field, graded in (("", "severity"), ("labels", "labels")):
        task = tasks.build("ordinal", both, options={"field": field})
        assert task.graded == graded and set(task.spec) == {"clip", graded}
        again = Spec.from_json(task.spec.to_json())
        assert tasks.build("ordinal", again, options={"field": field}) == task


def test_levels_may_be_called_by_more_than_their_number():
    names = ("0_none", "1_mild", "2_severe")
    assert tasks.build("ordinal", image_spec(names), options={}).classes == names
