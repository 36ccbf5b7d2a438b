import dataclasses
import re

import numpy as np
import pytest

from tests.datasets.test_pocus import SHARED
from tests.dicom.mutate import corpus, decode_file, mutated
from tests.dicom.whole_files import RLE, SYNTAXES, whole_file
from ultrasound_jax.runs.limited_worker import run_safely
from ultrasound_jax.runs.limits import Limits

MIB = 1 << 20
LIMITS = Limits(
    memory_bytes=256 * MIB,
    seconds=5.0,
    frames=500,
    pixels=1 << 22,
    inflated_bytes=32 * MIB,
)
COUNT = 450


def rng(seed):
    return np.random.default_rng(seed)


def decoded(paths, limits=LIMITS, **options):
    bounds = dataclasses.asdict(limits)
    items = [{"path": str(p), "limits": bounds} | options for p in paths]
    return run_safely(decode_file, items, limits=limits, workers=2)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    for syntax in SYNTAXES:
        (folder / f"{syntax}.dcm").write_bytes(whole_file(syntax))
    return decoded(sorted(folder.iterdir()))


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    """Names and outcomes of every file of the corpus."""
    folder, names = tmp_path_factory.mktemp("corpus"), []
    for name, content in corpus(seed=7, count=COUNT):
        (folder / name).write_bytes(content)
        names.append(name)
    return list(zip(names, decoded([folder / name for name in names]), strict=True))


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """The same of files whose damaged frames are kept."""
    folder, names = tmp_path_factory.mktemp("kept"), []
    for name, content in corpus(seed=8, count=COUNT):
        (folder / name).write_bytes(content)
        names.append(name)
    outcomes = decoded([folder / name for name in names], damaged="keep")
    return list(zip(names, outcomes, strict=True))


def test_the_files_are_whole_before_they_are_damaged(whole):
    assert [outcome.kind for outcome in whole] == ["done"] * len(SYNTAXES)
    assert all(o.value["frames"] == 3 and not o.value["reason"] for o in whole)


def test_the_corpus_is_large_and_the_same_for_the_same_seed(broken):
    names = [name for name, _ in broken]
    assert len(names) == len(set(names)) >= 300
    one, other = (mutated(whole_file(RLE), rng(3), 7) for _ in range(2))
    assert list(one) == list(other)


def test_no_damaged_file_ends_the_run_or_its_decoder(broken):
    assert [outcome.index for _, outcome in broken] == list(range(len(broken)))
    lost = [(name, o.kind, o.reason) for name, o in broken if not o.ok]
    assert not lost, lost


def test_files_whose_damage_is_kept_end_no_run_and_give_their_frames(kept):
    for name, outcome in kept:
        assert outcome.ok, (name, outcome.kind, outcome.reason)
        assert outcome.seconds < 5, name
        if not outcome.value["reason"]:
            assert outcome.value["frames"] == outcome.value["stated"] > 0, name


def test_no_damaged_file_takes_five_seconds(broken):
    slowest, name = max((outcome.seconds, name) for name, outcome in broken)
    assert slowest < 5, name


def test_every_refusal_is_one_line_that_says_why(broken):
    reasons = [outcome.value["reason"] for _, outcome in broken if outcome.ok]
    refused = [reason for reason in reasons if reason]
    assert len(refused) > len(broken) / 3
    for reason in refused:
        assert re.fullmatch(r"\S[^\n]{9,300}", reason), reason


def test_what_is_not_refused_gives_every_frame_that_it_states(broken):
    for name, outcome in broken:
        if outcome.ok and not outcome.value["reason"]:
            assert outcome.value["frames"] == outcome.value["stated"] > 0, name


def test_no_refusal_quotes_the_patient(broken):
    for name, outcome in broken:
        reason = outcome.value["reason"] if outcome.ok else outcome.reason
        assert "4711" not in reason and "Doe" not in reason, name


def test_memory_does_not_grow_beyond_the_limit(broken, whole):
    usual = max(outcome.value["peak"] for outcome in whole)
    peak, name = max((o.value["peak"], name) for name, o in broken if o.ok)
    assert peak < usual + LIMITS.memory_bytes / 2, name


def test_a_deflate_bomb_is_refused_for_its_size_or_never_inflated(broken):
    bombs = {n: o.value["reason"] for n, o in broken if n.startswith("bomb_deflate")}
    assert "inflates to more" in bombs.pop("bomb_deflate_private")
    # Zeros behind the pixels are left alone.
    assert list(bombs.values()) == ["", ""]


def test_sequences_without_a_floor_are_refused(broken):
    reasons = [o.value["reason"] for n, o in broken if n.startswith("bomb_nested")]
    assert len(reasons) == 4 and all(reasons)


@pytest.mark.shared_data
@pytest.mark.skipif(
    not (SHARED / "dicom_us").is_dir(), reason=f"no recordings in {SHARED}/dicom_us"
)
def test_damaged_real_recordings_end_no_run_either(tmp_path):
    paths = []
    for source in sorted((SHARED / "dicom_us").glob("*/*")):
        for name, damaged in mutated(source.read_bytes(), rng(11), 6):
            paths.append(tmp_path / f"{len(paths)}_{name}_{source.name}")
            paths[-1].write_bytes(damaged)
    outcomes = decoded(paths, dataclasses.replace(LIMITS, pixels=1 << 23))
    lost = [(paths[o.index].name, o.kind, o.reason) for o in outcomes if not o.ok]
    assert not lost, lost
    assert len(outcomes) >= 80
    assert sum(bool(outcome.value["reason"]) for outcome in outcomes) > 10
