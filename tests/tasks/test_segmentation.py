import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from tests.tasks.made import clip_spec, ids, image_spec
from ultrasound_jax import tasks
from ultrasound_jax.analysis.judge.run import judge_table
from ultrasound_jax.analysis.stats._parts.surface_distance import surface_distances
from ultrasound_jax.data.spec import Field, Spec, SpecError

RNG = np.random.default_rng(5)
SPEC = image_spec(("benign", "malignant"))
MASK = (RNG.random((3, 8, 8, 1)) < 0.4).astype(np.uint8)
LOGITS = RNG.normal(size=(3, 8, 8, 1)).astype(np.float32)


def task(spec=SPEC, **options):
    return tasks.build("segmentation", spec, options=options)


def fields(mask=MASK, index=None):
    index = np.arange(len(mask)) if index is None else np.array(index)
    return {"mask": jnp.asarray(mask), "index": jnp.asarray(index)}


def losses(of, logits=LOGITS, batch=None):
    return of.loss({"logits": jnp.asarray(logits)}, batch or fields())


def test_the_terms_are_cross_entropy_and_dice_by_their_formulas():
    found = losses(task())
    assert set(found) == {"cross_entropy", "dice"}
    p, t = 1 / (1 + np.exp(-LOGITS.astype(float))), MASK.astype(float)
    entropy = -(t * np.log(p) + (1 - t) * np.log(1 - p)).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(found["cross_entropy"].per_example, entropy, rtol=1e-5)
    sums = [x.sum(axis=(1, 2, 3)) for x in (p * t, p, t)]
    dice = 1 - (2 * sums[0] + 1) / (sums[1] + sums[2] + 1)
    np.testing.assert_allclose(found["dice"].per_example, dice, rtol=1e-5)
    assert float(found["dice"].weight) == 3


def test_a_filling_row_counts_nowhere():
    found = losses(task(), batch=fields(index=[0, 1, -1]))
    whole = losses(task())
    for name, term in found.items():
        assert float(term.weight) == 2 and float(term.per_example[2]) == 0
        np.testing.assert_allclose(term.total, whole[name].per_example[:2].sum())


def test_a_term_without_weight_is_left_out():
    assert set(losses(task(dice=0.0))) == {"cross_entropy"}
    twice = losses(task(dice=2.0))["dice"].total
    np.testing.assert_allclose(twice, 2 * losses(task())["dice"].total, rtol=1e-6)
    with pytest.raises(tasks.TaskError, match="all 0"):
        task(dice=0.0, cross_entropy=0.0)
    with pytest.raises(tasks.TaskError, match="0 or more"):
        task(dice=-1.0)


def test_counts_and_distances_are_those_of_the_masks():
    of = task()
    kept = jax.device_get(of.keep({"logits": jnp.asarray(LOGITS)}, fields()))
    columns = of.columns(kept, full=True)
    found, truth = LOGITS > 0, MASK == 1
    np.testing.assert_array_equal(columns["tp"], (found & truth).sum((1, 2)))
    np.testing.assert_array_equal(columns["fp"], (found & ~truth).sum((1, 2)))
    np.testing.assert_array_equal(columns["fn"], (~found & truth).sum((1, 2)))
    np.testing.assert_array_equal(columns["found"], found[..., 0])
    table = of.table(ids(np.zeros((3, 2), np.int8), ("image", "image")), columns)
    both = 2 * columns["tp"] + columns["fp"] + columns["fn"]
    dice = (2 * columns["tp"] / both).mean()
    assert of.quality(table)["mean_dice"] == pytest.approx(dice)
    pooled = 2 * columns["tp"].sum() / both.sum()
    assert of.quality(table)["pooled_dice"] == pytest.approx(pooled)


def test_several_structures_exclude_each_other():
    of = task(image_spec(("x",), masked=("liver", "kidney")))
    assert of.outputs == 3
    mask = RNG.integers(0, 3, (2, 8, 8, 1)).astype(np.uint8)
    logits = RNG.normal(size=(2, 8, 8, 3)).astype(np.float32)
    found = losses(of, logits, fields(mask))
    log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    picked = np.take_along_axis(log_p, mask.astype(int), axis=-1)[..., 0]
    expected = -picked.mean(axis=(1, 2))
    np.testing.assert_allclose(found["cross_entropy"].per_example, expected, rtol=1e-5)
    decided = of.decided({"logits": jnp.asarray(logits)})
    np.testing.assert_array_equal(decided.sum(-1), logits.argmax(-1) > 0)


def test_a_dataset_without_masks_is_refused_with_what_it_has():
    with pytest.raises(SpecError, match=r"none with mask: it has clip \(pixels\)"):
        tasks.build("segmentation", clip_spec(("a",)), options={})


def test_hounsfield_units_reach_the_network_through_their_window():
    spec = image_spec(("lung",), dtype="int16", values=(-1000.0, 0.0))
    image = np.full((1, 8, 8, 1), -250, np.int16)
    image[0, 0, 0], image[0, 1, 1] = 3000, -2000
    found = task(spec).floats({"image": jnp.asarray(image)})["image"]
    assert float(found[0, 2, 2, 0]) == pytest.approx(0.75)
    assert float(found.max()) == 1.0 and float(found.min()) == 0.0


def test_surface_distances_of_shifted_squares():
    one, other = np.zeros((2, 20, 20, 1), bool)
    one[5:10, 5:10], other[5:10, 8:16] = True, True
    hd95, assd, nsd = surface_distances(other, one, tolerance=2.0)[0]
    edge = [m & ~ndimage.binary_erosion(m) for m in (one[..., 0], other[..., 0])]
    points = [np.argwhere(e) for e in edge]
    apart = np.linalg.norm(points[0][:, None] - points[1][None], axis=-1)
    ways = [apart.min(0), apart.min(1)]
    both = np.concatenate(ways)
    assert hd95 == pytest.approx(max(np.percentile(way, 95) for way in ways))
    assert assd == pytest.approx(both.mean())
    assert nsd == pytest.approx((both <= 2).mean())
    halved = surface_distances(other, one, (0.5, 0.5), tolerance=1.0)[0]
    np.testing.assert_allclose(halved, [hd95 / 2, assd / 2, nsd])
    nothing = np.zeros_like(one)
    assert np.isnan(surface_distances(nothing, one, tolerance=2.0)).all()


def test_distances_at_the_border_are_those_of_the_whole_picture():
    """Only the box around both masks is looked at; a border is an edge there, too."""
    one, other = np.less(RNG.random((2, 16, 16, 1)), 0.1)
    one[:9], other[:, 4:9] = False, True
    padded = [np.pad(mask, ((30, 5), (7, 9), (0, 0))) for mask in (one, other)]
    np.testing.assert_array_equal(
        surface_distances(one, other, tolerance=2.0),
        surface_distances(padded[0], padded[1], tolerance=2.0),
    )


def test_a_record_with_spacing_has_millimetres_beside_pixels():
    side = Field(shape=(2,), dtype="float32", role="number")
    fields_of = dict(SPEC) | {"pixel_mm": side}
    of = task(Spec(fields_of, ("image", "image")), tolerance=1.5, lesion_iou=0.5)
    batch = fields() | {"pixel_mm": jnp.array([[0.2, 0.2], [0.1, 0.3], [0, 0]])}
    kept = jax.device_get(of.keep({"logits": jnp.asarray(LOGITS)}, batch))
    columns = of.columns(kept, full=True)
    table = of.table(ids(np.zeros((3, 2), np.int8), ("image", "image")), columns)
    assert list(table.distances) == [
        *("hd95_px", "assd_px", "nsd_1p5px"),
        *("hd95_mm", "assd_mm", "nsd_1mm"),
    ]
    px, mm = table.distances["hd95_px"], table.distances["hd95_mm"]
    assert mm[0, 0] == pytest.approx(0.2 * px[0, 0]) and np.isnan(mm[2, 0])
    found, truth = LOGITS > 0, MASK == 1
    expected = surface_distances(found[1], truth[1], (0.1, 0.3), tolerance=1.0)
    assert mm[1, 0] == pytest.approx(expected[0, 0])
    assert table.diagonals["px"].tolist() == pytest.approx([np.hypot(8, 8)] * 3)
    assert table.diagonals["mm"][1] == pytest.approx(np.hypot(0.8, 2.4))
    assert "detected_iou0p5" in table.lesions
    square = kept | {"pixel_mm": np.array([0.2, 0.2, 0.2])}
    assert of.columns(square, full=True)["hd95_mm"][0] == pytest.approx(mm[0])
    without = {name: value for name, value in kept.items() if name != "pixel_mm"}
    assert "hd95_mm" not in of.columns(without, full=True)
    assert set(of.columns(kept, full=False)) == {"tp", "fp", "fn"}


def test_a_tolerance_in_mm_needs_pixels_whose_size_is_known():
    with pytest.raises(
        tasks.TaskError, match="tolerance_mm=2 is not allowed: the data"
    ):
        task(tolerance_mm=2)
    side = Field(shape=(), dtype="float32", role="number")
    spec = Spec(dict(SPEC) | {"pixel_mm": side}, ("image", "image"))
    assert task(spec, tolerance_mm=2).measures.tolerance_mm == 2


def test_validation_selects_on_the_number_that_a_report_has():
    """Structures that few examples show count as much as those that all show."""
    of = task(image_spec(("x",), masked=("liver", "kidney", "spleen")))
    columns = {
        "tp": np.array([[40, 0, 0], [50, 0, 0], [60, 5, 0]]),
        "fp": np.array([[2, 0, 0], [3, 0, 0], [4, 9, 0]]),
        "fn": np.array([[5, 0, 0], [6, 0, 0], [7, 8, 0]]),
    }
    table = of.table(ids(np.zeros((3, 1), np.int8), ("image", "image")), columns)
    (split,) = judge_table(table, replicates=200).values()
    for name, value in of.quality(table).items():
        assert value == pytest.approx(split["image"][name]), name
    empty = {name: np.zeros((3, 3), int) for name in columns}
    ids_of = ids(np.zeros((3, 1), np.int8), ("image", "image"))
    assert of.quality(of.table(ids_of, empty)) == {}


def test_a_mask_without_its_last_axis_is_refused():
    image = SPEC["image"]
    flat = Field(shape=(8, 8), dtype="uint8", role="mask", classes=("lesion",))
    spec = Spec({"image": image, "mask": flat}, ("image", "image"))
    with pytest.raises(tasks.TaskError, match=r"shape \(8, 8\); a mask ends with"):
        task(spec)
