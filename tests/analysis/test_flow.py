"""Flow of patients, table 1 and the reviewers' checklist."""

import json
from collections import Counter

import numpy as np
import pytest

from tests.analysis.simulated import join, simulate
from tests.browser import measure
from ultrasound_jax.analysis.commands.report import write_study
from ultrasound_jax.analysis.document import Heading, Picture, Table
from ultrasound_jax.analysis.judge.assess import Wanted
from ultrasound_jax.analysis.report import checklist, flow, table_one
from ultrasound_jax.analysis.report.checklist_items import GUIDELINES
from ultrasound_jax.analysis.table.inputs import open_runs
from ultrasound_jax.data import population
from ultrasound_jax.data.examples import ExampleTable
from ultrasound_jax.data.splits import make_manifest
from ultrasound_jax.runs.files import read_json, write_whole

PARTS = ("train", "validation", "test")
SKIPPED = [
    *({"file": f"F{i}", "reason": f"duplicate: as P0123456789_{i}"} for i in range(3)),
    {"file": "P0000000001_00002", "reason": "no row in the labelling sheet"},
    {"file": "P0000000001_00003", "reason": "frame 12 of 120: its JPEG data end early"},
    {"file": "P0000000001_00004", "reason": "frame 7 of 90: its JPEG data end early"},
]
ACCOUNT = {
    "skipped": SKIPPED,
    "found": {
        "what": "files",
        "files": 100,
        "patients": 30,
        "not_usable": ["F0", "F1", "F2"],
    },
}


@pytest.fixture(scope="module")
def predictions():
    rng = np.random.default_rng(0)
    sizes = zip(PARTS, (10, 8, 9), strict=True)
    return join(*(simulate(rng, n, split=part) for part, n in sizes))


def table_of(predictions, groups=None):
    labels = np.where(np.isnan(predictions.labels), -1, predictions.labels)
    return ExampleTable(
        example_id=predictions.example_id,
        video_id=predictions.video_id,
        patient_id=predictions.patient_id,
        labels=labels.astype(np.int8),
        classes=predictions.classes,
        data_hash="0",
        groups=groups or {},
    )


def parts_of(predictions):
    split = np.array(predictions.split)
    return {part: np.flatnonzero(split == part) for part in PARTS}


def described(predictions, account, groups=None):
    return population.describe(
        table_of(predictions, groups),
        parts_of(predictions),
        account=account,
        units=("clip", "video"),
    )


def test_every_file_that_was_left_out_is_counted_once_under_its_stage_and_reason(
    predictions,
):
    left = described(predictions, ACCOUNT)["left_out"]
    assert left == [
        {"stage": "index", "reason": "duplicate", "files": 3},
        {
            "stage": "build",
            "reason": "frame … of …: its JPEG data end early",
            "files": 2,
        },
        {"stage": "build", "reason": "no row in the labelling sheet", "files": 1},
    ]


def test_an_entry_of_several_recordings_counts_as_many(predictions):
    account = {"skipped": [{"file": "4 recordings", "reason": "no row in the sheet"}]}
    assert described(predictions, account)["left_out"][0]["files"] == 4


def test_the_flow_counts_patients_videos_and_clips_of_each_part(predictions):
    people = described(predictions, ACCOUNT)
    for part in PARTS:
        rows = predictions.of_split(part)
        found = people["parts"][part]
        assert found["examples"] == len(rows)
        assert found["groups"] == len(set(rows.video_id))
        assert found["patients"] == len(set(rows.patient_id))
        assert found["most_of_one"] == max(Counter(rows.patient_id).values())
    assert people["outside"] == {"examples": 0, "groups": 0, "patients": 0}
    assert people["unknown"] == []


def test_what_a_dataset_does_not_record_is_said_and_not_invented(predictions):
    people = described(predictions, {})
    assert people["found"] is None and people["left_out"] == []
    assert any("how many files" in said for said in people["unknown"])
    assert any("what was left out" in said for said in people["unknown"])
    blocks = flow.sections(people, [])
    (table,) = (block for block in blocks if isinstance(block, Table))
    assert table.rows[0][0] == "built"
    text = str([getattr(b, "items", "") for b in blocks])
    assert "does not record how many files" in text


def test_a_pooled_cross_validation_shows_its_folds(predictions):
    table = table_of(predictions)
    manifest = make_manifest(table, test_fraction=0.0, folds=3)
    found = population.parts_of(table, {}, manifest, pooled=True)
    assert list(found) == ["fold_0", "fold_1", "fold_2"]
    for name, rows in found.items():
        own = {table.patient_id[i] for i in rows}
        assert own == set(manifest.parts[name].patients)


def test_table_one_groups_ages_from_90_and_says_what_is_not_known(predictions):
    patients = sorted(set(predictions.patient_id))
    age = {p: ("90+" if i == 0 else str(40 + i)) for i, p in enumerate(patients)}
    age[patients[1]] = ""
    groups = {
        "age": tuple(age[p] for p in predictions.patient_id),
        "sex": tuple(
            "" if p == patients[2] else "F" if p < patients[9] else "M"
            for p in predictions.patient_id
        ),
    }
    people = described(predictions, ACCOUNT, groups)
    rows = {row["name"]: row for row in people["characteristics"]}
    assert list(rows)[0] == "age" and rows["sex"]["of"] == "patients"
    ages = [rows["age"]["parts"][part] for part in PARTS]
    assert sum(part["oldest"] for part in ages) == 1
    assert sum(part["unknown"] for part in ages) == 1
    own = set(predictions.of_split("validation").patient_id)
    known = [float(age[p]) for p in own]
    assert rows["age"]["parts"]["validation"]["median"] == np.median(known)
    sexes = [rows["sex"]["parts"][part] for part in PARTS]
    assert sum(part["values"].get("F", 0) for part in sexes) == 8
    assert sum(part["unknown"] for part in sexes) == 1
    text = str(table_one.sections(people))
    assert "90+" in text and "sex: not known, patients" in text
    assert "do not tell: transducer, manufacturer, site" in text
    assert "fewer than 5 patients" in text


def test_a_column_that_differs_within_a_patient_is_counted_by_videos(predictions):
    probe = tuple("ab"[int(v[-1]) % 2] for v in predictions.video_id)
    (row,) = described(predictions, {}, {"transducer": probe})["characteristics"]
    assert row["of"] == "groups"
    for part in PARTS:
        videos = set(predictions.of_split(part).video_id)
        assert sum(row["parts"][part]["values"].values()) == len(videos)


def test_no_id_of_anybody_is_in_the_population(predictions):
    people = str(described(predictions, ACCOUNT))
    for name in {*predictions.patient_id, *predictions.video_id}:
        assert f"'{name}'" not in people
    assert "P0123456789" not in people and "P0000000001" not in people


def test_every_guideline_has_all_of_its_items_once():
    counts = {name: [item[0] for item in items] for name, items in GUIDELINES.items()}
    for numbers in counts.values():
        assert len(set(numbers)) == len(numbers)
    assert counts["CLAIM 2024"] == [str(k) for k in range(1, 45)]
    tripod = {int(number.rstrip("abcdefg")) for number in counts["TRIPOD+AI 2024"]}
    assert tripod == set(range(1, 28))
    stard = {int(number.rstrip("ab")) for number in counts["STARD 2015"]}
    assert stard == set(range(1, 31))


def test_the_checklist_names_sections_that_are_there_and_no_others():
    blocks = [
        Heading("Flow of patients"),
        Table(["what", "patients"], [["built", "9"]]),
        Heading("Calibration"),
        Heading("Calibration (clips)", 3, of="calibration"),
        Table(["run", ""], [["trained on", "another hospital"]]),
    ]
    there = checklist.answers(blocks, files=["model.json"])
    assert there["external"] and there["facts"] and there["model file"]
    assert there["flow"] == "Flow of patients"
    assert there["calibration"] == "Calibration (clips)"
    assert "table one" not in there and "decision_curve" not in there
    text = str(checklist.document("report.md", there))
    assert "['19', 'flow of participants, a diagram', 'Flow of patients', '']" in text
    wanted = "['20', 'characteristics at baseline', 'not in this report'"
    assert wanted in text


def test_a_flow_that_is_not_known_answers_no_item():
    blocks = [*flow.unknown(["a"]), Heading("Overview"), Table(["model"], [["a"]])]
    there = checklist.answers(blocks)
    assert "flow" not in there
    for block in checklist.document("report.md", there):
        for row in block.rows if isinstance(block, Table) else ():
            assert row[2] not in ("", "not in this report") or row[3], row


@pytest.fixture(scope="module")
def report(predictions, tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    people = described(predictions, ACCOUNT, {"sex": ("F",) * len(predictions)})
    judged = predictions.rows(np.array([s != "train" for s in predictions.split]))
    for name in ("a_network_with_a_long_name", "another_network"):
        judged.write(folder / name / "predictions.csv")
        write_whole(folder / name / flow.NAME, json.dumps(people))
    runs = open_runs(
        [folder / "a_network_with_a_long_name", folder / "another_network"]
    )
    write_study(runs, folder / "out", asked=Wanted(replicates=200))
    return folder / "out"


def test_a_report_of_runs_has_the_flow_once_and_a_checklist_beside_it(report):
    page = (report / "report.html").read_text()
    assert page.count(">Flow of patients, videos and clips</h2>") == 1
    assert page.count(">Who is in each part</h2>") == 1
    text = (report / "checklist.md").read_text()
    assert "| 19 | flow of participants, a diagram | Flow of patients, videos" in text


def test_a_page_fits_a_phone_and_a_screen_and_its_letters_are_readable(
    report, tmp_path
):
    for width in (390, 1280):
        seen = measure(report / "report.html", width, tmp_path)
        assert seen["width"] <= width, seen
        assert seen["outside"] == []
        assert seen["smallest"] >= 11
        assert max(seen["captions"]) <= width
        for pixels, shown in seen["images"]:
            # 150 pixels are an inch, in which 8 points, the smallest, are 1/9.
            assert shown / (pixels / 150) * 8 / 72 >= 11


def test_runs_without_a_population_are_named(predictions, tmp_path):
    judged = predictions.of_split("test")
    judged.write(tmp_path / "old" / "predictions.csv")
    runs = open_runs([tmp_path / "old"])
    write_study(runs, tmp_path / "out", asked=Wanted(replicates=200))
    assert "Not known for old" in (tmp_path / "out/report.md").read_text()


def test_the_flow_figure_is_the_same_every_time(predictions):
    people = described(predictions, ACCOUNT)
    images = [
        [b.image for b in flow.sections(people, []) if isinstance(b, Picture)]
        for _ in range(2)
    ]
    assert images[0] == images[1] and images[0][0].startswith(b"\x89PNG")


def test_the_population_is_json(predictions, tmp_path):
    path = tmp_path / population.NAME
    people = described(predictions, ACCOUNT)
    write_whole(path, json.dumps(people, allow_nan=False))
    assert read_json(path) == people
