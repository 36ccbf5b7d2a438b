import json

import cv2
import numpy as np
import pytest

from tests.radiomics.made import case, ellipse, speckled
from ultrasound_jax.radiomics import Settings, extract
from ultrasound_jax.radiomics.command import main

IMAGE, MASK = speckled(3, 40, 50), ellipse(40, 50, 20, 24, 12, 8)
MARKED = MASK.astype(np.uint8) * 255
ORIGINAL = ["--images", "original"]


@pytest.fixture
def files(tmp_path):
    def write(image=IMAGE, mask=MARKED):
        paths = [str(tmp_path / "image.png"), str(tmp_path / "mask.png")]
        for path, pixels in zip(paths, (image, mask), strict=True):
            cv2.imwrite(path, pixels)
        return paths

    return write


def test_features_are_printed_under_their_names(files, capsys):
    assert main(files()) == 0
    lines = [line.split(" ") for line in capsys.readouterr().out.splitlines()]
    printed = {name: float(value) for name, value in lines}
    assert printed == extract(IMAGE, MASK) and len(lines) == 939


def test_colour_is_measured_by_its_first_channel(files, capsys):
    colour = np.stack([np.zeros_like(IMAGE), 255 - IMAGE, IMAGE], axis=-1)  # BGR
    assert main([*files(colour), *ORIGINAL]) == 0
    mean = float(IMAGE[MASK].mean())
    assert f"original_firstorder_Mean {mean!r}" in capsys.readouterr().out


@pytest.mark.parametrize("value", [1, 200])
def test_a_mask_marks_with_any_value(files, capsys, value):
    assert main([*files(mask=MASK.astype(np.uint8) * value), *ORIGINAL]) == 0
    assert f"PixelSurface {float(MASK.sum())}" in capsys.readouterr().out


def test_features_are_written_as_csv_or_json(files, tmp_path, capsys):
    expected = extract(IMAGE, MASK, Settings(bin_width=10.0, images=("original",)))
    for ending in (".csv", ".json"):
        out = tmp_path / f"out{ending}"
        assert main([*files(), *ORIGINAL, "--bin_width", "10", "--out", str(out)]) == 0
        assert capsys.readouterr().out.startswith("102 features written")
        if ending == ".json":
            assert json.loads(out.read_text()) == expected
        else:
            head, *rows = out.read_text().splitlines()
            assert head == "feature,value"
            assert {n: float(v) for n, v in (r.split(",") for r in rows)} == expected


def test_what_is_not_defined_is_null_and_empty(files, tmp_path, capsys):
    apart = np.zeros(IMAGE.shape, np.uint8)
    apart[3, 4] = apart[20, 30] = apart[35, 9] = 255
    for ending, text in ((".csv", "glcm_Contrast,\n"), (".json", 'Contrast": null')):
        out = tmp_path / f"out{ending}"
        assert main([*files(mask=apart), "--out", str(out)]) == 0
        assert text in out.read_text()


def test_mistakes_are_one_line(files, tmp_path, capsys):
    image, mask = files()
    empty = str(tmp_path / "empty.png")
    cv2.imwrite(empty, np.zeros((40, 50), np.uint8))
    small = str(tmp_path / "small.png")
    cv2.imwrite(small, MASK[:-1].astype(np.uint8) * 255)
    for words, said in (
        ([image, empty], "empty.png: the mask is empty"),
        ([image, small], "the mask is (39, 50), the image (40, 50)"),
        ([image, str(tmp_path / "no.png")], "no.png"),
        ([image, mask, "--out", "x.txt"], "x.txt: allowed are .csv and .json"),
        ([image, mask, "--bin_width", "0"], "bin_width=0.0"),
        ([image, mask, "--images", "fourier"], "no image is called 'fourier'"),
    ):
        assert main(words) == 2
        error = capsys.readouterr().err
        assert error.startswith("error: ") and error.count("\n") == 1
        assert said in error, error


def test_the_reference_s_cases_come_out_of_files_too(files, tmp_path):
    image, mask = case(9, 33, 35, cy=16, cx=17, a=9, b=6)
    out = tmp_path / "out.json"
    assert main([*files(image, mask.astype(np.uint8)), "--out", str(out)]) == 0
    assert json.loads(out.read_text()) == extract(image, mask)
