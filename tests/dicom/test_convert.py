import csv
import json
import os
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.dicom.scans import phantom, speckle
from ultrasound_jax.dicom.__main__ import main as dicom
from ultrasound_jax.dicom.convert.cine import (
    CleanSettings,
    Job,
    convert_one,
    schedule,
)
from ultrasound_jax.dicom.convert.outcome import report
from ultrasound_jax.dicom.convert.sidecar import (
    ALLOWED,
    write_sidecar,
)
from ultrasound_jax.dicom.index.table import (
    read_index,
    read_sources,
    write_index,
)
from ultrasound_jax.dicom.make.ultrasound_file import (
    Calibration,
    Identity,
    write_cine,
)
from ultrasound_jax.dicom.read.timing import FrameTiming
from ultrasound_jax.media.video import read_video
from ultrasound_jax.runs.limited_worker import run_safely
from ultrasound_jax.runs.limits import Limits
from ultrasound_jax.types import InputError

SHARED = Path(
    os.environ.get("ULTRASOUND_JAX_DATA")
    or Path(__file__).parents[2].parent / "shared" / "data"
)
WHOLE = Calibration(left=0, top=0, right=63, bottom=63, pixel_mm=0.5)
PLAIN = CleanSettings(size=64, mask_fan=False)


def cine(path, frames, **options):
    identity = Identity(patient_id="A", instance=int(path.stem))
    write_cine(path, frames, identity=identity, calibration=WHOLE, **options)
    return path


def numbered(frames):
    """Frames that can be told apart: their grey level is their number."""
    clip = speckle((64, 64), frames=1).repeat(frames, 0)
    clip[:, :32] = np.arange(frames, dtype=np.uint8)[:, None, None]
    return clip


def job(source, out, **options):
    options = {"clean": PLAIN, **options}
    return Job(video_id="P1_00001", source=str(source), out=str(out), **options)


def done(*args, **options):
    """Runs a job in this process, through JSON as a worker does."""
    return convert_one(json.loads(json.dumps(job(*args, **options).to_json())))


def shown(path):
    return read_video(path).frames[:, 5, 5].tolist()


def test_avi_holds_the_frames_of_the_file_at_its_rate(tmp_path):
    clip = numbered(7)
    result = done(cine(tmp_path / "1.dcm", clip, frame_rate=20.0), tmp_path)
    video = read_video(tmp_path / "P1_00001.avi")
    np.testing.assert_array_equal(video.frames, clip)
    assert video.frame_rate == pytest.approx(20)
    assert (result["frames"], result["frame_rate"]) == (7, 20.0)


def test_pngs_are_numbered_from_one(tmp_path):
    clip = numbered(3)
    done(cine(tmp_path / "1.dcm", clip), tmp_path, to="png")
    folder = tmp_path / "P1_00001"
    names = [f"P1_00001_{number:05d}.png" for number in (1, 2, 3)]
    assert sorted(p.name for p in folder.iterdir()) == names
    for frame, name in zip(clip, names, strict=True):
        picture = cv2.imread(str(folder / name), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(picture, frame)


@pytest.mark.parametrize("frames", [1, 23, 24, 25, 30, 31, 49, 54])
def test_there_are_as_many_clips_as_the_original_cuts(tmp_path, frames):
    source = cine(tmp_path / "1.dcm", numbered(frames + 1))
    result = done(source, tmp_path, to="clips", contained="keep")
    assert result["files"] == -(-(frames + 1) // 24)
    result = done(source, tmp_path, to="clips")
    assert result["files"] == 1 + max(0, -(-(frames + 1 - 30) // 24))


def test_clips_are_named_by_the_frames_that_they_truly_hold(tmp_path):
    done(cine(tmp_path / "1.dcm", numbered(56)), tmp_path, to="clips")
    expected = {(1, 30), (25, 54), (49, 56)}
    files = {p.name for p in tmp_path.glob("*.avi")}
    assert files == {f"P1_00001_{a:05d}_{b:05d}.avi" for a, b in expected}
    for first, last in expected:
        name = f"P1_00001_{first:05d}_{last:05d}.avi"
        assert shown(tmp_path / name) == list(range(first - 1, last))


def test_tails_are_padded_or_dropped_if_asked(tmp_path):
    source = cine(tmp_path / "1.dcm", numbered(34))
    done(source, tmp_path / "pad", to="clips", tail="pad")
    tail = tmp_path / "pad" / "P1_00001_00025_00034.avi"
    assert shown(tail) == list(range(24, 34)) + [33] * 20
    done(source, tmp_path / "drop", to="clips", tail="drop")
    names = [p.name for p in (tmp_path / "drop").glob("*.avi")]
    assert names == ["P1_00001_00001_00030.avi"]


def test_steps_longer_than_a_clip_leave_frames_out(tmp_path):
    done(cine(tmp_path / "1.dcm", numbered(20)), tmp_path, to="clips", length=4, step=8)
    assert shown(tmp_path / "P1_00001_00009_00012.avi") == [8, 9, 10, 11]


def test_resampling_in_time_repeats_and_leaves_out(tmp_path):
    source = cine(tmp_path / "1.dcm", numbered(10), frame_rate=15.0)
    done(source, tmp_path / "fast", rate=30.0)
    twice = [number for number in range(10) for _ in range(2)]
    assert shown(tmp_path / "fast" / "P1_00001.avi") == twice
    done(source, tmp_path / "slow", rate=7.5)
    assert shown(tmp_path / "slow" / "P1_00001.avi") == [0, 2, 4, 6, 8]
    about = json.loads((tmp_path / "slow" / "P1_00001.avi.json").read_text())
    assert about["source_frame_of_frame"] == [1, 3, 5, 7, 9]
    assert about["frame_rate"] == 7.5


def test_times_that_vary_are_written_beside_the_frames(tmp_path):
    times = [0.0, 0.03, 0.09, 0.12]
    done(cine(tmp_path / "1.dcm", numbered(4), times=times), tmp_path)
    about = json.loads((tmp_path / "P1_00001.avi.json").read_text())
    assert about["frame_times"] == pytest.approx(times)
    assert about["source_frame_rate_source"] == "FrameTimeVector"
    assert "vary" in " ".join(about["notes"])


def test_a_missing_rate_is_assumed_and_said():
    _, rate, notes = schedule(FrameTiming(None, "none"), 5, None)
    assert rate == 30 and "assumed" in notes[0]


def test_the_sidecar_knows_scale_and_origin_of_the_pixels(tmp_path):
    clip, truth = phantom(1)
    box = Calibration(left=70, top=40, right=325, bottom=295, pixel_mm=0.4)
    screen = np.zeros((len(clip), 320, 400), np.uint8)
    screen[:, 40:296, 70:326] = clip
    identity = Identity(patient_id="A")
    write_cine(tmp_path / "1.dcm", screen, identity=identity, calibration=box)
    done(tmp_path / "1.dcm", tmp_path, clean=CleanSettings(size=128))
    about = json.loads((tmp_path / "P1_00001.avi.json").read_text())
    assert about["region_box"] == [70, 40, 325, 295]
    assert about["mm_per_pixel_x"] == pytest.approx(0.8)
    assert (about["rows"], about["columns"]) == (128, 128)
    assert (about["source_rows"], about["source_columns"]) == (320, 400)
    assert about["fan"]["kind"] == "sector" and about["fan_kept"] > 0.99
    assert about["decoder"] and about["program"].startswith("ultrasound_jax")
    assert set(about) <= ALLOWED


def test_a_name_that_is_not_on_the_list_never_enters_a_sidecar(tmp_path):
    with pytest.raises(InputError, match="patient_name"):
        write_sidecar(tmp_path / "a.json", {"patient_name": "Doe"})
    assert list(tmp_path.iterdir()) == []


def test_colour_is_kept_if_asked(tmp_path):
    clip = np.stack([speckle((64, 64), seed=s, frames=2) for s in range(3)], -1)
    settings = CleanSettings(size=64, grey="none", mask_fan=False)
    done(cine(tmp_path / "1.dcm", clip), tmp_path, to="png", clean=settings)
    picture = cv2.imread(str(tmp_path / "P1_00001" / "P1_00001_00001.png"))
    assert picture is not None
    np.testing.assert_array_equal(picture[..., ::-1], clip[0])


def test_a_still_has_no_clips(tmp_path):
    source = cine(tmp_path / "1.dcm", numbered(1), multi_frame=False)
    with pytest.raises(InputError, match="still image"):
        done(source, tmp_path, to="clips")


def test_reasons_do_not_name_the_file(tmp_path):
    path = tmp_path / "Jane Doe.dcm"
    path.write_bytes(b"\0" * 128 + b"DICM" + b"x" * 99)
    with pytest.raises(InputError) as raised:
        done(path, tmp_path)
    assert "Jane" not in str(raised.value) and str(tmp_path) not in str(raised.value)


def test_an_id_that_leads_out_of_the_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match="cannot name a file"):
        Job(video_id="../escape", source="a", out=str(tmp_path))


def test_a_long_cine_stays_within_a_memory_that_could_not_hold_it(tmp_path):
    frame = np.ascontiguousarray(phantom(1, size=360)[0][0])
    long = np.broadcast_to(frame, (1000, *frame.shape))
    source = tmp_path / "1.dcm"
    box = Calibration(left=0, top=0, right=359, bottom=359, pixel_mm=0.2)
    identity = Identity(patient_id="A")
    write_cine(source, long, identity=identity, calibration=box, syntax="jpeg")
    assert long.nbytes > 120 << 20
    limits = Limits(memory_bytes=64 << 20)
    plan = job(source, tmp_path, clean=CleanSettings(size=32), limits=limits)
    (outcome,) = run_safely(convert_one, [plan.to_json()], limits=limits, workers=1)
    assert outcome.ok, outcome.reason
    assert outcome.value["frames"] == 1000


def damaged(path, frames=12, places=(5, 9)):
    """A cine some of whose JPEG frames are zeros from their middle on."""
    clip = phantom(1, size=64)[0]
    cine(path, clip[np.arange(frames) % len(clip)], syntax="jpeg")
    content = bytearray(path.read_bytes())
    starts = [i for i in range(len(content)) if content[i : i + 3] == b"\xff\xd8\xff"]
    for place in places:
        middle = (starts[place - 1] + starts[place]) // 2
        content[middle : starts[place] - 8] = bytes(starts[place] - 8 - middle)
    path.write_bytes(bytes(content))
    return path


@pytest.mark.parametrize("to", ["avi", "png", "clips"])
def test_damaged_frames_are_refused_by_name(tmp_path, to):
    path = damaged(tmp_path / "1.dcm")
    with pytest.raises(InputError, match=r"^frame 5 of 12: .* JPEG data"):
        done(path, tmp_path, to=to)
    assert [p.name for p in tmp_path.iterdir()] == ["1.dcm"]


@pytest.mark.parametrize("mask", [True, False])
def test_kept_damaged_frames_are_black_keep_their_place_and_are_listed(tmp_path, mask):
    path = damaged(tmp_path / "1.dcm")
    clean = CleanSettings(size=64, mask_fan=mask)
    made = done(path, tmp_path, damaged="keep", clean=clean)
    assert made["frames"] == 12 and made["damaged"] == 2
    frames = read_video(tmp_path / "P1_00001.avi").frames
    black = [number for number, frame in enumerate(frames, 1) if not frame.any()]
    assert black == [5, 9]
    listed = json.loads((tmp_path / "P1_00001.avi.json").read_text())["damaged_frames"]
    assert [entry["frame"] for entry in listed] == [5, 9]
    assert all("JPEG data" in entry["reason"] for entry in listed)


def test_kept_damaged_frames_have_no_png(tmp_path):
    made = done(damaged(tmp_path / "1.dcm"), tmp_path, to="png", damaged="keep")
    names = sorted(path.stem[-2:] for path in (tmp_path / "P1_00001").iterdir())
    assert names == [f"{n:02d}" for n in range(1, 13) if n not in (5, 9)]
    assert made["files"] == 10 and made["frames"] == 12


def test_nothing_is_listed_of_a_whole_cine(tmp_path):
    path = cine(tmp_path / "1.dcm", phantom(1, size=64)[0], syntax="jpeg")
    assert done(path, tmp_path)["damaged"] == 0
    about = json.loads((tmp_path / "P1_00001.avi.json").read_text())
    assert about["damaged_frames"] == []


def test_damage_goes_from_index_to_table_by_the_option_keep(tmp_path, capsys):
    root, out = tmp_path / "root", tmp_path / "out"
    root.mkdir()
    damaged(root / "1.dcm")
    damaged(root / "2.dcm", places=(1,))
    cut = cine(root / "3.dcm", phantom(3, size=64)[0], syntax="jpeg")
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size * 2 // 3])
    words = ["index", str(root), "--out", str(tmp_path / "index.csv"), "--workers", "1"]
    assert dicom(words) == 0
    refused = [row.reason for row in read_index(tmp_path / "index.csv") if not row.ok]
    assert len(refused) == 2
    assert any("frame 1 of 12: " in reason for reason in refused)
    assert any("and holds" in reason for reason in refused)
    assert dicom([*words, "--keep", "damaged"]) == 0
    rows = read_index(tmp_path / "index.csv")
    assert all(row.ok for row in rows)
    notes = "; ".join(row.reason for row in rows)
    assert "its first frame is damaged" in notes and "its end is missing" in notes
    capsys.readouterr()
    command(tmp_path / "index.csv", out, "--to", "avi")
    assert "0 of 3" in capsys.readouterr().out
    assert command(tmp_path / "index.csv", out, "--to", "avi", "--keep", "damaged") == 0
    said = capsys.readouterr().out
    assert "3 of 3" in said and "3 frames of 2 videos are damaged: black" in said
    found = sorted(row["damaged"] for row in table(out / "convert_avi.csv").values())
    assert found == ["0", "1", "2"]


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    """An index of three cines, one of them broken, and a still."""
    root = tmp_path_factory.mktemp("root")
    for number in (1, 2):
        cine(root / f"{number}.dcm", phantom(number, size=64)[0])
    broken = cine(root / "3.dcm", phantom(3, size=64)[0], syntax="jpeg")
    content = bytearray(broken.read_bytes())
    start = content.rindex(b"\xff\xd8\xff")
    content[start + 2 : start + 400] = bytes(398)
    broken.write_bytes(bytes(content))
    cine(root / "4.dcm", phantom(1, size=64)[0][:1], multi_frame=False)
    path = tmp_path_factory.mktemp("index") / "index.csv"
    assert dicom(["index", str(root), "--out", str(path), "--workers", "1"]) == 0
    return path


def command(index, out, *more):
    words = ["convert", str(index), "--out", str(out), "--workers", "1", "--size", "64"]
    return dicom([*words, *more])


def table(path):
    with open(path, newline="") as file:
        return {row["video_id"]: row for row in csv.DictReader(file)}


def test_one_bad_file_does_not_end_the_run_and_the_next_run_continues(
    index, tmp_path, capsys
):
    assert command(index, tmp_path, "--to", "clips") == 0
    rows = table(tmp_path / "convert_clips.csv")
    states = sorted(row["status"] for row in rows.values())
    assert states == ["ok", "ok", "refused", "refused"]
    assert all(row["reason"] for row in rows.values() if row["status"] != "ok")
    said = capsys.readouterr().out
    assert "2 of 4" in said and "still image" in said
    clips = sorted(tmp_path.glob("*.avi"))
    before = {path: path.stat().st_mtime_ns for path in clips}
    lost = clips[0].name.rpartition("_")[0].rpartition("_")[0]
    (tmp_path / f"{lost}.clips.json").unlink()
    assert command(index, tmp_path, "--to", "clips") == 0
    assert "1 of them by an earlier run" in capsys.readouterr().out
    for path in clips:
        again = path.stat().st_mtime_ns != before[path]
        assert again == path.name.startswith(lost)
    assert table(tmp_path / "convert_clips.csv") == rows
    assert not list(tmp_path.glob(".*"))


def test_what_the_index_has_no_longer_is_listed_and_removed_if_asked(
    index, tmp_path, capsys
):
    own = tmp_path / "index.csv"
    for name in ("index.csv", "index.sources.json"):
        shutil.copy(index.parent / name, tmp_path / name)
    for target in ("png", "clips"):
        assert command(own, tmp_path / "out", "--to", target) == 0
    rows = read_index(own)
    gone, *_ = names = [row.video_id for row in rows if row.ok and row.frames > 1]
    write_index(own, [row for row in rows if row.video_id != gone])
    capsys.readouterr()
    for target in ("png", "clips"):
        assert command(own, tmp_path / "out", "--to", target) == 0
        assert f"1 videos ({gone}); --remove-others" in capsys.readouterr().out
        words = ("--to", target, "--remove-others")
        assert command(own, tmp_path / "out", *words) == 0
        assert f"1 videos ({gone})" in capsys.readouterr().out
    left = {path.name[:17] for path in (tmp_path / "out").iterdir()}
    assert gone not in left and names[1] in left


def test_other_settings_convert_again_and_leave_nothing_of_the_first(index, tmp_path):
    command(index, tmp_path, "--to", "clips", "--length", "4", "--overlap", "0")
    assert len(list(tmp_path.glob("*.avi"))) > 2
    command(index, tmp_path, "--to", "clips", "--rate", "native")
    assert len(list(tmp_path.glob("*.avi"))) == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--to", "avi", "--no-mask"], "--keep-burned-in"),
        (["--to", "avi", "--keep-burned-in"], "--no-mask"),
        (["--to", "clips", "--overlap", "1.5"], "overlap"),
        (["--to", "gif"], "invalid choice"),
        (["--to", "avi", "--rate", "0"], "rate above 0"),
        (["--to", "avi", "--size", "-3"], "whole number"),
        (["--to", "avi", "--region", "first"], "neither auto"),
    ],
)
def test_users_errors_are_one_line_and_exit_code_2(
    index, tmp_path, capsys, words, said
):
    try:
        code = command(index, tmp_path, *words)
    except SystemExit as error:
        code = error.code
    text = capsys.readouterr().err
    assert code == 2 and said in text and "Traceback" not in text


def test_an_index_without_its_sources_is_refused(index, tmp_path, capsys):
    alone = tmp_path / "index.csv"
    alone.write_bytes(index.read_bytes())
    assert command(alone, tmp_path / "out", "--to", "avi") == 2
    assert "sources" in capsys.readouterr().err


def test_without_a_mask_everything_is_listed_for_review(index, tmp_path, capsys):
    words = ("--to", "png", "--no-mask", "--keep-burned-in")
    assert command(index, tmp_path, *words) == 0
    assert "review these 3" in capsys.readouterr().out
    good = [row.video_id for row in read_index(index)]
    assert set(read_sources(index)) >= set(good)


def test_the_help_says_what_is_written(capsys):
    with pytest.raises(SystemExit) as ended:
        dicom(["convert", "--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert "Example:" in text and "<video_id>_<first>_<last>.avi" in text


@pytest.mark.shared_data
def test_all_shared_files_convert_and_their_text_is_gone(tmp_path):
    if not (SHARED / "dicom_us").is_dir():
        pytest.skip("set ULTRASOUND_JAX_DATA to the folder with dicom_us")
    index = tmp_path / "index.csv"
    words = ["index", str(SHARED / "dicom_us"), "--out", str(index)]
    words += ["--keep", "regionless", "--keep", "duplicates"]
    assert dicom(words) == 0
    out = tmp_path / "out"
    words = ["convert", str(index), "--to", "png", "--out", str(out), "--size", "0"]
    assert dicom(words) == 0
    sources = {name: path.name for name, path in read_sources(index).items()}
    rows = {sources[name]: row for name, row in table(out / "convert_png.csv").items()}
    good = {name: row for name, row in rows.items() if row["status"] == "ok"}
    assert len(good) == 15

    def first(name):
        video_id = rows[name]["video_id"]
        path = out / video_id / f"{video_id}_00001.png"
        picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        assert picture is not None
        return picture

    # Hospital and patient number are above the tissue, settings below it.
    for name in ("US1_UNCR.dcm", "US1_J2KI.dcm", "examples_jpeg2k.dcm"):
        picture = first(name)
        assert picture.shape == (480, 640) and rows[name]["fan"] == "rectangle"
        assert not picture[:95].any() and not picture[350:].any()
        assert picture[120:330].mean() > 20
    # The settings that stand right of this heart, and the bar below it.
    heart = first("DIRW0007")
    assert heart.shape == (344, 522) and rows["DIRW0007"]["fan"] == "sector"
    assert not heart[:110, 440:].any() and heart[100:250, 150:350].mean() > 40
    echo = first("JPGLosslessP14SV1_1s_1f_8b.dcm")
    assert not echo[:120].any() and not echo[650:].any()
    for name in good:
        assert name in ("ExplVR_BigEnd.dcm",) or rows[name]["fan"] != "whole"


def foreign(frames, *places):
    """Frames of moving speckle; at some places another picture, at others a name."""
    clip = speckle((64, 64), frames=frames)
    for place in places:
        clip[place] = 250
        cv2.putText(clip[place], "DOE", (8, 40), 0, 0.8, 0, 1)
    return clip


def test_frames_that_do_not_belong_are_black_in_films_and_have_no_png(tmp_path):
    source = cine(tmp_path / "1.dcm", foreign(40, 7, 8, 21))
    result = done(source, tmp_path / "avi")
    frames = read_video(tmp_path / "avi" / "P1_00001.avi").frames
    assert [n for n, frame in enumerate(frames, 1) if not frame.any()] == [8, 9, 22]
    about = json.loads((tmp_path / "avi" / "P1_00001.avi.json").read_text())
    assert [one["frame"] for one in about["withheld_frames"]] == [8, 9, 22]
    assert all(one["reason"] for one in about["withheld_frames"])
    assert (result["withheld"], result["black"], result["frames"]) == (3, 0, 40)
    assert "3 frames are withheld: 8-9, 22" in result["review"]
    pngs = done(source, tmp_path / "png", to="png")
    names = {path.name for path in (tmp_path / "png" / "P1_00001").iterdir()}
    numbers = set(range(1, 41)) - {8, 9, 22}
    assert names == {f"P1_00001_{number:05d}.png" for number in numbers}
    assert pngs["files"] == 37
    done(source, tmp_path / "clips", to="clips", length=10, step=10)
    clip = read_video(tmp_path / "clips" / "P1_00001_00001_00010.avi").frames
    assert [n for n, frame in enumerate(clip, 1) if not frame.any()] == [8, 9]


def test_a_withheld_frame_that_is_shown_twice_is_listed_once(tmp_path):
    source = cine(tmp_path / "1.dcm", foreign(20, 6), frame_rate=15.0)
    done(source, tmp_path, rate=30.0)
    frames = read_video(tmp_path / "P1_00001.avi").frames
    assert [n for n, frame in enumerate(frames) if not frame.any()] == [12, 13]
    about = json.loads((tmp_path / "P1_00001.avi.json").read_text())
    assert [one["frame"] for one in about["withheld_frames"]] == [7]
    pngs = done(source, tmp_path / "png", to="png", rate=30.0)
    assert pngs["files"] == 38


def test_black_frames_are_counted(tmp_path):
    clip = speckle((64, 64), frames=20)
    clip[4] = 0
    result = done(cine(tmp_path / "1.dcm", clip), tmp_path)
    about = json.loads((tmp_path / "P1_00001.avi.json").read_text())
    assert about["black_frames"] == [5] and about["withheld_frames"] == []
    assert (result["withheld"], result["black"]) == (0, 1)


def test_a_run_says_how_many_frames_are_withheld():
    row = {"video_id": "P1_00001", "status": "ok", "files": 1, "frames": 9}
    row |= {"fan": "sector", "withheld": 2, "review": ["2 frames are withheld: 3-4"]}
    text = "\n".join(report([row | {"notes": [], "black": 0, "damaged": 0}], 0))
    assert "2 frames of 1 videos are withheld" in text
    assert "P1_00001: 2 frames are withheld: 3-4" in text
