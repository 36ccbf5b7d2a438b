"""Operations are found by name, refused in one line, and applied in their order."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ultrasound_jax import augment
from ultrasound_jax.augment import _ranges
from ultrasound_jax.types import UltrasoundError

HERE = "tests.augment.test_build"
FLIP = {"name": "flip_and_rotate", "flip": 1.0, "rotate": 0.0, "degrees": 0.0}
SEEN = []


def spy(*, word="none"):
    """An operation of a user's own: it notes with which key it was asked."""

    def operation(fields, roles, key):
        SEEN.append((word, key))
        return fields

    return operation


def refuses(*, level):
    raise ValueError(f"no level {level}")


def doubles():
    return lambda fields, roles, key: fields | {"image": fields["image"] * 2}


def shifts():
    return lambda fields, roles, key: fields | {"image": fields["image"] + 1}


@pytest.mark.parametrize(
    ("operations", "said"),
    [
        ({"flip": 0.5}, "config.augment={'flip': 0.5} is not allowed: .* list of"),
        (["flip"], r"config.augment\[0\]='flip' is not allowed.*brightness, flip_and_"),
        ([{"flip": 1}], r"must be {\"name\": …}"),
        (
            [FLIP, {"name": "flop"}],
            r"config.augment\[1\].name='flop' is not allowed: there are brightness, "
            "flip_and_rotate, policy, trivial_augment, or package.module:function",
        ),
        ([{"name": "_sampling"}], "there are brightness"),
        (
            [FLIP | {"flp": 1}],
            r"config.augment\[0\].flp is no option: 'flip_and_rotate' has degrees, "
            "flip, rotate",
        ),
        ([{"name": "flip_and_rotate", "flip": 1}], "lacks 'rotate': .* has degrees"),
        ([FLIP | {"flip": 2.0}], r"augment\[0\].flip=2.0 is not.*from 0 to 1"),
        ([FLIP | {"flip": float("nan")}], "flip=nan is not allowed"),
        ([FLIP | {"degrees": -1}], r"degrees=-1 is not.*0 or more"),
        (
            [{"name": "brightness", "probability": 1, "gain": 2, "shift": 0}],
            "gain=2 is not allowed: it must be from 0 to 1",
        ),
        (
            [{"name": "nowhere.at:all"}],
            "config.augment.0..name: module 'nowhere.at' cannot",
        ),
        ([{"name": f"{HERE}:nothing"}], "has no nothing; it has .*spy"),
        ([{"name": f"{HERE}:refuses", "level": 3}], "refuses its options: no level 3"),
        ([{"name": f"{HERE}:doubles", "level": 3}], "has no options"),
    ],
)
def test_what_cannot_be_used_is_one_line_with_what_can(operations, said):
    with pytest.raises(UltrasoundError, match=said) as refused:
        augment.build(operations)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("value", ["often", None, [0.5], float("inf")])
def test_an_option_that_is_no_number_is_refused(value):
    with pytest.raises(augment.AugmentError, match="flip=.* is not.*from 0 to 1"):
        _ranges.number("flip", value, 0.0, 1.0)


def test_no_operation_changes_nothing():
    fields = {"image": jnp.ones((2, 4, 4, 1))}
    assert augment.build([])(fields, {}, key=jax.random.key(0)) is fields


def test_operations_follow_each_other_in_their_order():
    fields = {"image": jnp.ones((2, 4, 4, 1))}
    one, other = {"name": f"{HERE}:doubles"}, {"name": f"{HERE}:shifts"}
    for order, value in (([one, other], 3), ([other, one], 4)):
        out = augment.build(order)(fields, {}, key=jax.random.key(0))
        assert float(out["image"].max()) == value


def test_the_first_gets_the_key_and_the_others_keys_that_no_row_has():
    SEEN.clear()
    spies = [{"name": f"{HERE}:spy", "word": word} for word in "abc"]
    key = jax.random.key(7)
    augment.build(spies)({}, {}, key=key)
    words, keys = zip(*SEEN, strict=True)
    assert words == ("a", "b", "c")
    assert keys[0] is key
    rows = jax.random.key_data(jax.random.split(key, 4096))
    taken = {np.asarray(row).tobytes() for row in rows}
    others = [np.asarray(jax.random.key_data(k)).tobytes() for k in keys[1:]]
    assert not taken & set(others) and len(set(others)) == 2


def test_a_picture_and_its_mask_are_mirrored_exactly():
    rng = np.random.default_rng(0)
    image = jnp.asarray(rng.uniform(size=(3, 9, 12, 3)), jnp.float32)
    mask = jnp.asarray(rng.integers(0, 5, (3, 9, 12, 2)), jnp.int32)
    clip = jnp.asarray(rng.integers(0, 5, (3, 2, 9, 12, 1)), jnp.uint8)
    out = augment.build([FLIP])(
        {"image": image, "mask": mask, "clip": clip},
        {"image": "pixels", "mask": "mask", "clip": "mask"},
        key=jax.random.key(0),
    )
    np.testing.assert_array_equal(out["image"], image[:, :, ::-1])
    np.testing.assert_array_equal(out["mask"], mask[:, :, ::-1])
    np.testing.assert_array_equal(out["clip"], clip[:, :, :, ::-1])


def test_a_field_of_another_shape_is_named():
    fields = {"mask": jnp.ones((2, 4, 4))}
    with pytest.raises(augment.AugmentError, match=r"'mask' has the shape \(2, 4, 4\)"):
        augment.build([FLIP])(fields, {"mask": "mask"}, key=jax.random.key(0))
