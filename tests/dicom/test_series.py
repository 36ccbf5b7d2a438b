"""Cines whose frames are files of their own."""

import itertools
import json

import av
import numpy as np
import pytest

from tests.dicom.test_index_command import index, without_processes  # noqa: F401
from tests.dicom.test_indexing import KEY, described
from ultrasound_jax.dicom.__main__ import main
from ultrasound_jax.dicom.clean.cleaning import CleanSettings, plan_cleaning
from ultrasound_jax.dicom.index.rows import Rules, assemble, facts_of
from ultrasound_jax.dicom.index.table import (
    read_frame_times,
    read_index,
    read_series,
    read_sources,
    sources_path,
)
from ultrasound_jax.dicom.make.ultrasound_file import Calibration, Identity, write_cine
from ultrasound_jax.dicom.read.series import (
    Part,
    gaps,
    open_series,
    order_of,
    timing_of,
)
from ultrasound_jax.types import InputError

COUNT = itertools.count()
REGION = Calibration(left=0, top=0, right=255, bottom=255, pixel_mm=0.5)


def write_series(root, clip, *, patient="4711", names=None, **elements):
    """One file a frame; what is called in an order of its own."""
    import pydicom

    paths = []
    for number, frame in enumerate(clip, 1):
        name = names[number - 1] if names else f"{99 - number:02d}.dcm"
        path = root / name
        write_cine(
            path,
            frame[None],
            identity=Identity(patient_id=patient, instance=number),
            calibration=REGION,
            multi_frame=False,
        )
        dataset = pydicom.dcmread(path)
        for keyword, value in elements.items():
            found = value(number) if callable(value) else value
            if found is None:
                delattr(dataset, keyword)
            else:
                setattr(dataset, keyword, found)
        dataset.save_as(path)
        paths.append(path)
    return paths


def clock(number):
    """Ten frames a second, the fourth a little late."""
    return f"1015{20 + 0.1 * number + (0.02 if number == 4 else 0):09.6f}"


@pytest.fixture(scope="module")
def clip():
    from tests.dicom.scans import phantom

    return phantom(0)[0]


def parts(*numbers, **changes):
    return [Part(number, **changes) for number in numbers]


def test_numbers_order_the_files():
    assert order_of(parts(3, 1, 2)) == [1, 2, 0]
    times = [Part(2, acquired=0.1), Part(1, acquired=0.0), Part(3)]
    assert order_of(times) == [1, 0, 2]


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        (parts(1, None, 3), "1 of its files have no InstanceNumber"),
        (parts(1, 2, 2), "the same InstanceNumber"),
        ([Part(1, acquired=5.0), Part(2, acquired=4.9)], "order it differently"),
        ([Part(n, acquired=20.0 * n) for n in range(3)], "lie 20 s apart"),
        ([Part(n, content=1.5 * n) for n in range(3)], "lie 1.5 s apart"),
    ],
)
def test_an_order_that_is_not_certain_is_refused(files, reason):
    with pytest.raises(InputError, match=reason):
        order_of(files)


def timing(*, acquired=None, content=None, rate=None, source="none"):
    count = len(acquired or content or range(4))
    return timing_of(
        [
            Part(
                n,
                rate,
                source,
                acquired[n] if acquired else None,
                content[n] if content else None,
            )
            for n in range(count)
        ]
    )


def test_a_rate_is_stated_or_measured():
    steady, varying = [0.0, 0.1, 0.2, 0.3], [0.0, 0.1, 0.2, 0.4]
    assert timing().source == "none"
    for source in ("FrameTime", "ActualFrameDuration"):
        found = timing(rate=10.0, source=source, acquired=steady)
        assert (found.source, found.rate, found.notes) == (source, 10, ())
    found = timing(rate=30.0, source="CineRate", acquired=steady)
    assert (found.source, found.rate) == ("AcquisitionTime", pytest.approx(10))
    assert found.notes == ("AcquisitionTime gives 10 Hz but CineRate 30 Hz",)
    found = timing(content=varying)
    assert found.source == "ContentTime"
    np.testing.assert_allclose(found.times, varying)
    assert timing(rate=30.0, source="CineRate").source == "CineRate"


def test_times_that_are_no_use_are_passed_over_with_a_note():
    found = timing(acquired=[5.0] * 4, content=[0.0, 0.1, 0.2, 0.3])
    assert found.source == "ContentTime"
    assert found.notes == ("AcquisitionTime does not grow with each file and is "
                           "passed over",)  # fmt: skip
    found = timing(content=[0.0, 0.1, None, 0.3])
    assert found.source == "none" and "missing in some files" in found.notes[0]
    mixed = timing_of([Part(1, 25.0, "FrameTime"), Part(2, 20.0, "FrameTime")])
    assert mixed.source == "none" and "different rates" in mixed.notes[0]


def test_missing_numbers_are_noted():
    assert gaps(parts(1, 2, 3)) == ""
    assert gaps(parts(4, 6, 9)).startswith("3 instance numbers are missing")


def test_a_series_is_read_like_a_cine(tmp_path, clip):
    paths = write_series(tmp_path, clip, AcquisitionTime=clock)
    with open_series(paths) as cine:
        assert cine.header.frames == len(clip) and cine.notes == ()
        assert cine.header.timing.source == "AcquisitionTime"
        for _ in range(2):
            np.testing.assert_array_equal(list(cine.frames()), clip)
        cleaning = plan_cleaning(cine, CleanSettings(size=None))
    assert cleaning.fan is not None and cleaning.mm == (0.5, 0.5)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda paths: paths[::-1], "not in the order"),
        (lambda paths: [*paths, paths[0]], "the same InstanceNumber"),
        (lambda paths: [*paths, paths[0].parent / "gone.dcm"], "no such file"),
    ],
)
def test_files_that_do_not_go_together_are_refused(tmp_path, clip, change, reason):
    paths = change(write_series(tmp_path, clip[:3]))
    with pytest.raises(InputError, match=reason) as caught:
        open_series(paths)
    assert str(caught.value).startswith(f"{paths[0]}: ")
    assert "gone" not in str(caught.value)


def test_a_damaged_file_is_named_by_its_place(tmp_path, clip):
    paths = write_series(tmp_path, clip[:3])
    content = paths[1].read_bytes()
    paths[1].write_bytes(content[:-20000])
    with pytest.raises(InputError, match="file 2 of 3 of the series") as caught:
        with open_series(paths) as cine:
            list(cine.frames())
    assert paths[1].name not in str(caught.value)


def test_a_folder_of_frames_is_one_row_and_one_video(
    tmp_path,
    clip,
    without_processes,  # noqa: F811
    capsys,
):
    paths = write_series(tmp_path / "root", clip, AcquisitionTime=clock)
    out = tmp_path / "index.csv"
    assert index(tmp_path / "root", out, "--series", "cine") == 0
    said = capsys.readouterr().out
    assert f"{len(clip)} files" in said and "series of single-frame files" in said
    (row,) = read_index(out)
    assert (row.data_type, row.frames) == ("video", len(clip))
    assert row.frame_rate_source == "AcquisitionTime"
    assert row.frame_rate == pytest.approx(10, rel=0.01)
    times = read_frame_times(out, row)
    assert times is not None and times[3] == pytest.approx(0.32, abs=1e-4)
    assert row.reason == f"{len(clip)} files of one series"
    assert read_series(out) == {row.video_id: tuple(p.resolve() for p in paths)}
    assert read_sources(out) == {row.video_id: paths[0].resolve()}
    # The same row again, whatever the files are called.
    before = out.read_text()
    for number, path in enumerate(paths):
        path.rename(path.with_name(f"{number:02d}_renamed"))
    assert index(tmp_path / "root", out, "--series", "cine") == 0
    assert out.read_text() == before
    # And as stills, each its own row.
    assert index(tmp_path / "root", tmp_path / "stills.csv") == 0
    assert len(read_index(tmp_path / "stills.csv")) == len(clip)


def test_a_series_is_converted_whole(tmp_path, clip):
    write_series(tmp_path / "root", clip, AcquisitionTime=clock)
    out, avi = tmp_path / "index.csv", tmp_path / "avi"
    assert index(tmp_path / "root", out, "--series", "cine") == 0
    words = ["convert", str(out), "--to", "avi", "--out", str(avi), "--workers", "1"]
    assert main(words) == 0
    (row,) = read_index(out)
    with av.open(str(avi / f"{row.video_id}.avi")) as container:
        frames = [f.to_ndarray(format="gray") for f in container.decode(video=0)]
    assert len(frames) == len(clip)
    for frame, truth in zip(frames, clip, strict=True):
        inside = frame > 0
        assert inside.mean() > 0.3
        np.testing.assert_array_equal(frame[inside], truth[inside])
    about = json.loads((avi / f"{row.video_id}.avi.json").read_text())
    assert about["source_frames"] == len(clip)
    assert about["source_frame_rate_source"] == "AcquisitionTime"
    assert str(tmp_path) not in json.dumps(about)


@pytest.mark.parametrize("hurt", [1, 4, 8])
def test_a_damaged_file_keeps_its_place_where_damage_is_kept(
    tmp_path,
    clip,
    hurt,
    without_processes,  # noqa: F811
):
    """Else the frames behind it would take other numbers than they have."""
    import pydicom

    root, out = tmp_path / "d", tmp_path / "avi"
    root.mkdir()
    paths = write_series(root, clip)
    dataset = pydicom.dcmread(paths[hurt - 1])
    dataset.PixelData = dataset.PixelData[: len(dataset.PixelData) // 2]
    dataset.save_as(paths[hurt - 1])
    arguments = ["index", str(root), "--out", str(tmp_path / "index.csv")]
    assert main([*arguments, "--series", "cine"]) == 0
    assert [row.frames for row in read_index(tmp_path / "index.csv")] == [7, None]
    assert main([*arguments, "--keep", "damaged"]) == 0
    rows = read_index(tmp_path / "index.csv")
    assert [row.ok for row in rows] == [True] * 7 + [False]
    assert rows[-1].reason.startswith("unreadable: states 1 frames and holds 0")
    assert main([*arguments, "--series", "cine", "--keep", "damaged"]) == 0
    (row,) = read_index(tmp_path / "index.csv")
    assert row.frames == 8 and "8 files of one series, of which 1 are" in row.reason
    arguments = ["convert", str(tmp_path / "index.csv"), "--to", "avi"]
    arguments += ["--out", str(out), "--size", "0", "--workers", "1"]
    assert main(arguments) == 1
    assert main([*arguments, "--keep", "damaged"]) == 0
    sidecar = json.loads((out / f"{row.video_id}.avi.json").read_text())
    assert [one["frame"] for one in sidecar["damaged_frames"]] == [hurt]
    assert sidecar["frames"] == 8
    with av.open(out / f"{row.video_id}.avi") as container:
        shown = [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]
    assert [not frame.any() for frame in shown] == [n == hurt for n in range(1, 9)]


def still(number, series="1.2.9", patient="4711", **changes):
    fields = {"data_type": "image", "frames": 1, "frame_rate": None}
    fields |= {"frame_rate_source": "none"} | changes.pop("fields", {})
    about = {"series_uid": series} | changes.pop("particulars", {})
    return described(
        patient,
        sha256=changes.pop("sha256", "") or f"bytes {next(COUNT)}",
        instance=number,
        fields=fields,
        particulars=about,
        **changes,
    )


def joined(files):
    rules = Rules(join_series=True)
    facts = {place: facts_of(place, d, rules, KEY) for place, d in files.items()}
    return assemble(facts, (), rules, KEY, "index_times")


@pytest.mark.parametrize(
    ("last", "reason"),
    [
        (still(2), "the same InstanceNumber"),
        (still(None), "no InstanceNumber"),
        (still(3, fields={"rows": 25}), "differ in size"),
        (still(3, fields={"photometric": "YBR_FULL"}), "photometric interpretation"),
        (still(3, fields={"regions": [{"left": 1}]}), "differ in regions"),
        (still(3, fields={"frames": 9, "data_type": "video"}), "cines of its own"),
    ],
)
def test_a_series_that_cannot_be_one_cine_stays_stills_with_the_reason(last, reason):
    made = joined({"a": still(1), "b": still(2), "c": last})
    rows = [row for row in made.rows if row.frames == 1]
    assert len(made.rows) == 3 and made.parts == {}
    assert all(
        row.ok and reason in row.reason and row.data_type == "image" for row in rows
    )


def test_series_and_patients_are_kept_apart():
    files = {f"a{n}": still(n) for n in (1, 2)}
    files |= {f"b{n}": still(n, series="1.2.8") for n in (1, 2)}
    files |= {f"c{n}": still(n, patient="other") for n in (1, 2)}
    files |= {"d": still(1, series="1.2.7"), "e": still(1, series="")}
    made = joined(files)
    assert sorted(made.parts.values()) == [["a1", "a2"], ["b1", "b2"], ["c1", "c2"]]
    assert sorted(row.data_type for row in made.rows) == ["image"] * 2 + ["video"] * 3
    hashes = {row.sha256 for row in made.rows if row.data_type == "video"}
    assert len(hashes) == 3


def test_a_copy_of_a_later_frame_is_a_duplicate_of_its_cine():
    files = {"a": still(1), "b": still(2)}
    files |= {"copy": still(2, sha256=files["b"]["sha256"])}
    made = joined(files)
    (cine,) = [row for row in made.rows if row.ok]
    (copy,) = [row for row in made.rows if not row.ok]
    assert copy.reason == f"duplicate: the same bytes as {cine.video_id}"


def test_moments_in_the_journal_are_secret():
    about = {"acquired": 700_000_000.5, "content": 700_000_000.75}
    facts = facts_of("a", still(1, particulars=about), Rules(), KEY)
    assert facts["content"] - facts["acquired"] == pytest.approx(0.25)
    assert "700000000" not in json.dumps(facts) and "1.2.9" not in json.dumps(facts)


def test_sources_without_series_are_as_before(tmp_path, clip, without_processes):  # noqa: F811
    write_series(tmp_path / "root", clip[:2])
    out = tmp_path / "index.csv"
    assert index(tmp_path / "root", out) == 0
    assert read_series(out) == {}
    assert "series" not in json.loads(sources_path(out).read_text())
