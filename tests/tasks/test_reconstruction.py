import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.tasks.made import clip_spec, ids, image_spec
from ultrasound_jax import tasks
from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.judge.compare_models import compare_models
from ultrasound_jax.analysis.judge.run import headline, judge_table
from ultrasound_jax.analysis.report.run_report import write_report
from ultrasound_jax.analysis.table.error_table import ErrorTable
from ultrasound_jax.analysis.table.levels import at_level
from ultrasound_jax.analysis.table.mask_table import read_table
from ultrasound_jax.training.steps import StepError, check_outputs

RNG = np.random.default_rng(6)
IMAGE = RNG.random((4, 8, 8, 1)).astype(np.float32)
FOUND = RNG.random((4, 8, 8, 1)).astype(np.float32)
TASK = tasks.build("reconstruction", image_spec(("a", "b")), options={})


def fields(index=(0, 1, 2, 3)):
    return {"image": jnp.asarray(IMAGE), "index": jnp.asarray(index)}


def outputs(found=FOUND):
    return {"image": jnp.asarray(found), "logits": jnp.asarray(found)}


def table(mse, patients=2):
    names = tuple(f"e{i}" for i in range(len(mse)))
    return ErrorTable(
        example_id=names,
        video_id=names,
        patient_id=tuple(f"p{i * patients // len(mse)}" for i in range(len(mse))),
        fold=np.zeros(len(mse), int),
        split=("test",) * len(mse),
        classes=("image",),
        units=("image", "image"),
        mse=np.asarray(mse, float)[:, None],
    )


def test_the_loss_is_the_mean_squared_error_of_the_real_rows():
    term = TASK.loss(outputs(), fields((0, 1, 2, -1)))["mean_squared_error"]
    expected = ((IMAGE.astype(float) - FOUND) ** 2).mean((1, 2, 3))
    np.testing.assert_allclose(term.per_example[:3], expected[:3], rtol=1e-5)
    assert float(term.per_example[3]) == 0 and float(term.weight) == 3
    np.testing.assert_allclose(term.total, expected[:3].sum(), rtol=1e-5)


def test_the_picture_is_compared_with_what_the_network_was_given():
    """In training that is the augmented one: nothing else is in the batch."""
    moved = fields() | {"image": jnp.asarray(IMAGE[:, ::-1])}
    term = TASK.loss(outputs(IMAGE[:, ::-1]), moved)["mean_squared_error"]
    assert float(term.total) == 0
    assert TASK.inputs(moved)["image"] is moved["image"]


def test_a_row_of_the_table_has_the_examples_error_and_quality_its_mean():
    kept = jax.device_get(TASK.keep(outputs(), fields()))
    made = TASK.table(
        ids(np.zeros((4, 2), np.int8), ("image", "image")),
        TASK.columns(kept, full=True),
    )
    expected = ((IMAGE.astype(float) - FOUND) ** 2).mean((1, 2, 3))
    np.testing.assert_allclose(made.mse[:, 0], expected, rtol=1e-5)
    assert (made.kind, made.classes) == ("errors", ("image",))
    (error,) = TASK.quality(made).values()
    assert error == pytest.approx(expected.mean(), rel=1e-5)
    tree = judge_table(made, replicates=200)["test"]["image"]
    assert tree["mean_squared_error"] == pytest.approx(error)


def test_a_table_of_errors_is_read_back_exactly(tmp_path):
    made = table([0.25, 0.1, 1 / 3, 0.0])
    made.write(tmp_path / "predictions.csv")
    again = read_table(tmp_path / "predictions.csv")
    assert isinstance(again, ErrorTable) and again.units == ("image", "image")
    np.testing.assert_array_equal(again.mse, made.mse)
    assert again.patient_id == made.patient_id
    text = (tmp_path / "predictions.csv").read_text()
    (tmp_path / "predictions.csv").write_text(text.replace("0.25", "2.5"))
    with pytest.raises(AnalysisError, match=r"mse_image of example 'e0' is 2.5; allo"):
        read_table(tmp_path / "predictions.csv")


def test_numbers_are_of_examples_and_of_patients(tmp_path):
    errors = RNG.uniform(0.001, 0.02, 40)
    made = table(errors, patients=10)
    tree = judge_table(made, replicates=200)
    by = tree["test"]
    assert by["image"]["mean_squared_error"] == pytest.approx(errors.mean())
    assert by["image"]["psnr"] == pytest.approx(-10 * np.log10(errors.mean()))
    assert by["image"]["root_mean_squared_error"] == pytest.approx(errors.mean() ** 0.5)
    low, high = by["image"]["mean_squared_error_ci"]
    assert 0 < low < errors.mean() < high
    np.testing.assert_allclose(by["image"]["psnr_ci"], -10 * np.log10([high, low]))
    patients = at_level(made, "patient")
    np.testing.assert_allclose(patients.mse[:, 0], errors.reshape(10, 4).mean(axis=1))
    assert by["patient"]["n"]["examples"] == 10
    report = write_report(tmp_path, made, tree, title="Copies", facts={}).read_text()
    assert "PSNR, dB" in report and "Reproduced: image" in report
    assert headline(tree, made)[0].startswith("test root mean squared error of images")


def test_nothing_wrong_has_no_ratio():
    tree = judge_table(table([0.0, 0.0, 0.0]), replicates=200)["test"]["image"]
    assert tree["mean_squared_error"] == 0 and tree["psnr"] is None


def test_tables_of_errors_are_not_compared_as_scores():
    runs = {"one": table([0.1, 0.2]), "two": table([0.1, 0.3])}
    with pytest.raises(
        AnalysisError, match="'one' has a table of errors; allowed here"
    ):
        compare_models(runs, "one", replicates=200)


def test_a_network_that_makes_no_picture_is_refused():
    check_outputs(TASK, outputs(), 4)
    with pytest.raises(tasks.TaskError, match="returns 'image', as autoencoder does;"):
        TASK.loss({"logits": jnp.asarray(FOUND)}, fields())
    with pytest.raises(StepError, match=r"must be \(4, 8, 8, 1\)"):
        check_outputs(TASK, {"logits": jnp.zeros((4, 1))}, 4)


def test_clips_are_refused():
    with pytest.raises(tasks.TaskError, match="of one image .*the dataset has clip"):
        tasks.build("reconstruction", clip_spec(("a",)), options={})
    with pytest.raises(
        tasks.TaskError, match="must be one of mean_squared_error, loss"
    ):
        tasks.build(
            "reconstruction", image_spec(("a",)), options={}, select="macro_auroc"
        )
