import numpy as np
import pytest

from ultrasound_jax.radiomics import RadiomicsError
from ultrasound_jax.radiomics.learn.codes import read_codes

IDS = ("b", "a", "c")
CODES = np.arange(8.0).reshape(4, 2)
STORED = np.array(["a", "b", "c", "not asked for"])


def npz(tmp_path, **arrays):
    path = tmp_path / "codes.npz"
    np.savez(path, **arrays)
    return path


def csv(tmp_path, text):
    path = tmp_path / "codes.csv"
    path.write_text(text)
    return path


def test_codes_come_in_the_order_of_the_examples(tmp_path):
    names, found = read_codes(npz(tmp_path, example_id=STORED, codes=CODES), IDS)
    assert names == ("code_0000", "code_0001")
    assert found.tolist() == [[2, 3], [0, 1], [4, 5]]


def test_a_sheet_names_its_columns(tmp_path):
    path = csv(tmp_path, "depth,example_id,tone\n1,a,2\n3,b,4e-1\n5,c,6\n")
    names, found = read_codes(path, IDS)
    assert names == ("depth", "tone")
    assert found.tolist() == [[3, 0.4], [1, 2], [5, 6]]


def test_files_that_do_not_say_it_are_refused_in_one_line(tmp_path):
    twice = np.array(["a", "b", "c", "a"])
    for path, said in (
        (npz(tmp_path, example_id=STORED), "no arrays example_id and codes"),
        (tmp_path / "codes.pkl", "allowed are .csv and .npz"),
        (tmp_path / "none.npz", "no such file"),
        (csv(tmp_path, "id,x\na,1\n"), "no column example_id"),
    ):
        with pytest.raises(RadiomicsError, match=said):
            read_codes(path, IDS)
    for arrays, said in (
        ({"example_id": twice, "codes": CODES}, "1 examples occur twice"),
        ({"example_id": STORED[:2], "codes": CODES[:2]}, "no row of 1 examples"),
        ({"example_id": STORED, "codes": CODES[:2]}, r"\(4,\) and codes \(2, 2\)"),
        ({"example_id": np.arange(4), "codes": CODES}, "int64"),
        ({"example_id": STORED, "codes": CODES * np.nan}, "not finite"),
    ):
        with pytest.raises(RadiomicsError, match=said):
            read_codes(npz(tmp_path, **arrays), IDS)
    path = csv(tmp_path, "example_id,x\na,1\nb,one\nc,2\n")
    with pytest.raises(RadiomicsError, match="no number"):
        read_codes(path, IDS)


def test_a_pickle_within_is_not_opened(tmp_path):
    path = npz(tmp_path, example_id=np.array(IDS, object), codes=CODES[:3])
    with pytest.raises(RadiomicsError, match="has no arrays"):
        read_codes(path, IDS)
