"""Patient-level splits and the manifest that records them."""

import json
import time
from dataclasses import replace

import numpy as np
import pytest

from ultrasound_jax.data.splits import (
    ExampleTable,
    Manifest,
    Part,
    SplitError,
    make_manifest,
)
from ultrasound_jax.types import UltrasoundError

CLASSES = ("a_line", "b_line", "consolidation", "pleural_effusion")


def random_table(rng, patients: int, *, unknown: float = 0.05) -> ExampleTable:
    """Patients with 1 to 12 videos of 1 to 8 clips; patients differ in prevalence."""
    rows, labels = [], []
    for p in range(patients):
        prevalence = rng.random(4) * (rng.random(4) < (0.8, 0.6, 0.5, 0.3))
        for v in range(rng.integers(1, 13)):
            for c in range(rng.integers(1, 9)):
                rows.append((f"p{p}_v{v}_c{c}", f"p{p}_v{v}", f"p{p}"))
                label = (rng.random(4) < prevalence).astype(np.int8)
                labels.append(np.where(rng.random(4) < unknown, -1, label))
    order = rng.permutation(len(rows))
    return table_of([rows[i] for i in order], np.array(labels, np.int8)[order])


def table_of(rows, labels) -> ExampleTable:
    return ExampleTable(
        example_id=tuple(r[0] for r in rows),
        video_id=tuple(r[1] for r in rows),
        patient_id=tuple(r[2] for r in rows),
        labels=np.asarray(labels, np.int8),
        classes=CLASSES,
        data_hash="4f2a",
        dataset="pocus",
    )


@pytest.fixture
def table() -> ExampleTable:
    return random_table(np.random.default_rng(7), 35)


@pytest.fixture
def manifest(table) -> Manifest:
    return make_manifest(table)


def test_every_example_is_in_one_part_and_no_patient_on_two_sides():
    rng = np.random.default_rng(0)
    for _ in range(10):
        table = random_table(rng, int(rng.integers(8, 40)))
        folds = int(rng.integers(2, 7))
        manifest = make_manifest(
            table, test_fraction=float(rng.choice([0.0, 0.1, 0.3])), folds=folds
        )
        manifest.check(table)
        listed = [e for part in manifest.parts.values() for e in part.examples]
        assert sorted(listed) == sorted(table.example_id)
        owner = dict(zip(table.example_id, table.patient_id, strict=True))
        sides = [{owner[e] for e in part.examples} for part in manifest.parts.values()]
        assert sum(map(len, sides)) == len(set(table.patient_id))
        assert all(sides)


def test_train_validation_and_test_partition_the_rows_in_the_tables_order(
    table, manifest
):
    validated = []
    for fold in range(5):
        rows = manifest.indices(table, fold)
        everything = np.concatenate(list(rows.values()))
        assert (np.sort(everything) == np.arange(len(table.example_id))).all()
        assert all((np.diff(r) > 0).all() for r in rows.values())
        patients = [{table.patient_id[i] for i in r} for r in rows.values()]
        assert sum(map(len, patients)) == 35
        validated.append(rows["validation"])
    assert len(np.unique(np.concatenate(validated))) + len(rows["test"]) == len(
        table.example_id
    )


def test_a_class_positive_in_seven_patients_is_in_all_six_parts():
    rng = np.random.default_rng(3)
    for seed in range(3):
        table = random_table(rng, 35, unknown=0.0)
        labels = table.labels.copy()
        few = {f"p{p}" for p in rng.choice(35, 7, replace=False)}
        for i, patient in enumerate(table.patient_id):
            labels[i, 3] = patient in few
        manifest = make_manifest(replace(table, labels=labels), seed=seed)
        assert all(
            counts["classes"]["pleural_effusion"]["positive_patients"] >= 1
            for counts in manifest.counts.values()
        )


def test_a_class_absent_in_only_six_patients_can_be_judged_in_all_six_parts(table):
    labels = np.ones_like(table.labels)
    for i, patient in enumerate(table.patient_id):
        labels[i, 0] = patient not in {"p1", "p2", "p3", "p4", "p5", "p6"}
    table = replace(table, labels=labels)
    manifest = make_manifest(table)
    for counts in manifest.counts.values():
        assert counts["classes"]["a_line"]["positive_examples"] < counts["examples"]


def deviation(table: ExampleTable, sides: list[set[str]]) -> float:
    """How far parts are from their shares of examples and positives, on average."""
    patients = np.array(table.patient_id)
    ones = np.ones((len(patients), 1))
    amounts = np.concatenate([ones, table.labels == 1], axis=1)
    shares = (amounts / amounts.sum(axis=0)).T
    got = [shares[:, np.isin(patients, sorted(side))].sum(axis=1) for side in sides]
    wanted = np.array([0.2, 0.16, 0.16, 0.16, 0.16, 0.16])
    return float(np.abs(np.array(got) / wanted[:, None] - 1).mean())


def test_parts_are_nearer_to_their_shares_than_any_of_a_thousand_random_splits(
    table, manifest
):
    ours = deviation(table, [set(part.patients) for part in manifest.parts.values()])
    rng = np.random.default_rng(0)
    cuts = np.cumsum([7, 6, 6, 6, 5])
    patients = sorted(set(table.patient_id))
    for _ in range(1000):
        random = [set(s) for s in np.split(rng.permutation(patients), cuts)]
        assert ours < deviation(table, random)
    for name, counts in manifest.counts.items():
        share = 0.2 if name == "test" else 0.16
        got = counts["examples"] / len(table.example_id)
        assert got == pytest.approx(share, rel=0.1)


def test_the_same_seed_gives_the_same_manifest_whatever_the_order_of_the_rows(
    table, manifest
):
    order = np.random.default_rng(9).permutation(len(table.example_id))
    rows = list(zip(table.example_id, table.video_id, table.patient_id, strict=True))
    shuffled = table_of([rows[i] for i in order], table.labels[order])
    assert make_manifest(shuffled) == manifest
    assert make_manifest(table, seed=1) != manifest


def test_counts_are_those_of_a_hand_made_table():
    rows = [("e0", "v0", "p0"), ("e1", "v0", "p0"), ("e2", "v1", "p1")]
    table = table_of(rows, [[1, 0, -1, 0], [1, 1, 0, 0], [0, 0, 0, 0]])
    manifest = make_manifest(table, test_fraction=0.0, folds=2)
    counts = next(c for c in manifest.counts.values() if c["examples"] == 2)
    assert (counts["videos"], counts["patients"]) == (1, 1)
    assert counts["classes"]["a_line"] == {
        "positive_examples": 2,
        "positive_patients": 1,
        "unknown_examples": 0,
    }
    assert counts["classes"]["consolidation"]["unknown_examples"] == 1


def test_no_test_fraction_means_pure_cross_validation(table):
    manifest = make_manifest(table, test_fraction=0.0)
    assert list(manifest.parts) == [f"fold_{k}" for k in range(5)]
    assert len(manifest.indices(table, 4)["test"]) == 0


def test_two_thousand_patients_take_less_than_ten_seconds():
    table = random_table(np.random.default_rng(5), 2000)
    start = time.process_time()
    make_manifest(table)
    assert time.process_time() - start < 10


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"test_fraction": 1.0}, "test_fraction=1.0"),
        ({"test_fraction": -0.1}, "test_fraction=-0.1"),
        ({"folds": 1}, "folds=1"),
        ({"folds": 40}, "35 patients cannot fill 40 folds and a test part"),
    ],
)
def test_impossible_splits_are_refused(table, options, message):
    with pytest.raises(SplitError, match=message):
        make_manifest(table, **options)


def test_a_manifest_survives_writing_and_reading(tmp_path, manifest):
    path = tmp_path / "split.json"
    manifest.write(path)
    assert Manifest.read(path) == manifest
    first = path.read_bytes()
    Manifest.read(path).write(path)
    assert path.read_bytes() == first
    assert [p.name for p in tmp_path.iterdir()] == ["split.json"]
    assert list(json.loads(first)) == [
        "version",
        "dataset",
        "data_hash",
        "seed",
        "classes",
        "counts",
        "parts",
    ]


def changed(manifest: Manifest, **parts: Part) -> Manifest:
    return replace(manifest, parts={**manifest.parts, **parts}, counts={})


def test_a_patient_listed_in_two_parts_is_refused(table, manifest):
    test, fold = manifest.parts["test"], manifest.parts["fold_0"]
    both = Part((*fold.patients, test.patients[0]), fold.examples)
    with pytest.raises(SplitError, match=f"two sides.*: {test.patients[0]} "):
        changed(manifest, fold_0=both).check(table)


def test_a_patient_whose_examples_are_in_two_parts_is_refused(table, manifest):
    test, fold = manifest.parts["test"], manifest.parts["fold_0"]
    moved = changed(
        manifest,
        test=Part(test.patients, test.examples[1:]),
        fold_0=Part(fold.patients, (*fold.examples, test.examples[0])),
    )
    with pytest.raises(SplitError, match="patients on two sides"):
        moved.check(table)
    with pytest.raises(SplitError, match="patients on two sides"):
        moved.indices(table, 0)


def test_unknown_ids_are_named_up_to_five_and_counted(table, manifest):
    fold = manifest.parts["fold_0"]
    strange = tuple(f"strange{i}" for i in range(7))
    wrong = changed(manifest, fold_0=Part(fold.patients, (*fold.examples, *strange)))
    message = "unknown example ids.*strange0, .*strange4 and 2 more \\(7 in all\\)"
    with pytest.raises(SplitError, match=message):
        wrong.check(table)
    wrong = changed(manifest, fold_0=Part((*fold.patients, "nobody"), fold.examples))
    with pytest.raises(SplitError, match="unknown patient ids.*nobody"):
        wrong.check(table)


def test_repeated_and_missing_examples_are_refused(table, manifest):
    fold = manifest.parts["fold_0"]
    twice = Part(fold.patients, (*fold.examples, fold.examples[0]))
    with pytest.raises(SplitError, match="listed twice.*1 in all"):
        changed(manifest, fold_0=twice).check(table)
    fewer = Part(fold.patients, fold.examples[3:])
    with pytest.raises(SplitError, match="in no part.*3 in all"):
        changed(manifest, fold_0=fewer).check(table)


def test_other_data_classes_or_counts_are_refused(table, manifest):
    with pytest.raises(SplitError, match="made for data 4f2a, this is 77"):
        manifest.check(replace(table, data_hash="77"))
    with pytest.raises(SplitError, match="manifest has classes"):
        manifest.check(replace(table, classes=("w", "x", "y", "z")))
    counts = {**manifest.counts, "test": {**manifest.counts["test"], "examples": 1}}
    with pytest.raises(SplitError, match="counts of part test"):
        replace(manifest, counts=counts).check(table)


def test_an_empty_part_and_an_unknown_fold_are_refused(table, manifest):
    with pytest.raises(SplitError, match="part fold_1 of the manifest is empty"):
        changed(manifest, fold_1=Part((), ())).check(table)
    with pytest.raises(SplitError, match="fold 5 is not one of 0 to 4"):
        manifest.indices(table, 5)


def test_a_split_made_elsewhere_needs_neither_seed_nor_counts(tmp_path, table):
    content = json.loads(_text(tmp_path, make_manifest(table)))
    del content["counts"]
    content["seed"] = None
    path = tmp_path / "theirs.json"
    path.write_text(json.dumps(content))
    manifest = Manifest.read(path)
    assert len(manifest.indices(table, 0)["test"]) > 0


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ('"seed": 0,', '"seed": 0', r"split\.json:\d+:\d+: not JSON"),
        ('"version": 1', '"version": 2', "version is 2, only 1"),
        ('"data_hash": "4f2a"', '"data_hash": 5', "'data_hash' is missing"),
        ('"fold_4"', '"fold_7"', "parts are .*fold_7.*without gaps"),
        ('"seed"', '"sed"', "unknown keys sed"),
        ('"examples": [', '"example": [', "'examples' of part test is missing"),
    ],
)
def test_malformed_manifests_name_the_file_and_the_place(
    tmp_path, manifest, before, after, message
):
    text = _text(tmp_path, manifest)
    assert before in text
    path = tmp_path / "split.json"
    path.write_text(text.replace(before, after))
    with pytest.raises(SplitError, match=message) as caught:
        Manifest.read(path)
    assert "split.json" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_manifest_is_one_line_with_its_name(tmp_path):
    with pytest.raises(UltrasoundError, match="nowhere.json: there is no such file"):
        Manifest.read(tmp_path / "nowhere.json")


def test_tables_with_doubtful_ids_or_labels_are_refused():
    good = [("e0", "v0", "p0"), ("e1", "v1", "p1")]
    zeros = np.zeros((2, 4))
    with pytest.raises(SplitError, match="occur twice: e0"):
        table_of([good[0], ("e0", "v1", "p1")], zeros)
    with pytest.raises(SplitError, match="without a patient id: e1"):
        table_of([good[0], ("e1", "v1", "")], zeros)
    with pytest.raises(SplitError, match="more than one patient: v0"):
        table_of([good[0], ("e1", "v0", "p1")], zeros)
    with pytest.raises(SplitError, match="1, 0 or -1"):
        table_of(good, zeros + 2)
    with pytest.raises(SplitError, match="labels are"):
        table_of(good, zeros[:1])


def _text(tmp_path, manifest: Manifest) -> str:
    path = tmp_path / "written.json"
    manifest.write(path)
    return path.read_text()


@pytest.mark.parametrize("other", ["P0", " p0", "p0\u2003"])
def test_two_spellings_of_a_patient_are_refused_before_they_are_split(table, other):
    names = tuple(other if name == "p1" else name for name in table.patient_id)
    twice = replace(table, patient_id=names)
    with pytest.raises(SplitError, match="'p0'.*differ only in blanks or case") as said:
        make_manifest(twice)
    assert repr(other) in str(said.value) and "pocus" in str(said.value)
