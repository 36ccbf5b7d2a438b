import json

import pytest

from tests.labels.test_labels import HEADING, sheet
from ultrasound_jax.dicom.__main__ import main
from ultrasound_jax.labels.disagreement import (
    as_json,
    as_markdown,
    compare,
)
from ultrasound_jax.labels.findings import FINDINGS
from ultrasound_jax.labels.merge import (
    merge,
    sheet_text,
)
from ultrasound_jax.labels.sheet import (
    LabelRow,
    read_sheet,
)
from ultrasound_jax.types import InputError

#        id, frames, zone, A, B, confluent, consolidation, effusion, sliding, score
FIRST = [
    'v1,60,R1,"1_20,31_40",5_10,,,,+,1',
    "v2,60,R2,,,,1_10,,,3_c",  # the same label, but no frame in common
    "v3,60,R3,1_10,,,,,,0",  # labels differ
    "v4,60,R4,,,,,,,4",  # both looked and saw nothing
    "v5,60,L1,,,,,7_12,,3_e",  # the second annotator has no such row
    "v6,60,L2,,,1_30,,,,2",
    "v7,60,L3,,,,,,,",  # nobody has looked
]
SECOND = [
    "v6,60,L2,,1_30,21_60,,,,2",
    "v4,60,R4,,,,,,,4",
    "v3,60,R3,,1_10,,,,,1",
    "v2,60,R2,,,,11_20,,,3_c",
    "v1,60,R1,15_35,,,,,+,2",
    "v7,60,L3,,,,,,,",
    "v8,60,L4,1_5,,,,,,0",
]


@pytest.fixture
def sheets(tmp_path):
    return [
        sheet(tmp_path, *rows, name=f"{name}.csv")
        for name, rows in (("first", FIRST), ("second", SECOND))
    ]


@pytest.fixture
def rows(sheets):
    return [read_sheet(path) for path in sheets]


def marks(merged_rows):
    return {
        row.video_id: {name: row.ranges[name] for name in FINDINGS if row.ranges[name]}
        for row in merged_rows
    }


def test_and_keeps_the_frames_that_both_have_marked(rows):
    assert marks(merge(*rows, logic="and").rows) == {
        "v1": {"a_line": ((15, 20), (31, 35))},
        "v2": {},
        "v3": {},
        "v4": {},
        "v6": {"confluent_b_line": ((21, 30),)},
        "v7": {},
    }


def test_or_keeps_the_frames_that_at_least_one_has_marked(rows):
    found = marks(merge(*rows, logic="or").rows)
    assert found["v1"] == {"a_line": ((1, 40),), "b_line": ((5, 10),)}
    assert found["v2"] == {"consolidation": ((1, 20),)}
    assert found["v3"] == {"a_line": ((1, 10),), "b_line": ((1, 10),)}
    assert found["v6"] == {"b_line": ((1, 30),), "confluent_b_line": ((1, 60),)}


def test_frames_that_one_has_marked_are_to_be_ignored(rows):
    ignored = merge(*rows, logic="and").ignored
    assert marks(ignored)["v1"] == {
        "a_line": ((1, 14), (21, 30), (36, 40)),
        "b_line": ((5, 10),),
    }
    both, one = (
        {row.video_id: row.finding_frames for row in read}
        for read in (merge(*rows, logic="and").rows, ignored)
    )
    either = {row.video_id: row.finding_frames for row in merge(*rows, logic="or").rows}
    for video, frames in either.items():
        for finding in FINDINGS:
            assert both[video][finding] | one[video][finding] == frames[finding]
            assert not both[video][finding] & one[video][finding]


def test_the_score_follows_from_the_merged_marks(rows):
    scores = {row.video_id: row.score for row in merge(*rows, logic="and").rows}
    # Without common marks there is no score, unless both saw nothing.
    assert scores == {"v1": "0", "v2": "", "v3": "", "v4": "4", "v6": "2", "v7": ""}
    scores = {row.video_id: row.score for row in merge(*rows, logic="or").rows}
    assert (scores["v1"], scores["v2"], scores["v6"]) == ("1", "3_c", "2")


def test_conflicts_are_those_that_the_original_set_aside(rows):
    merged = merge(*rows, logic="and")
    assert {one.video_id: one.reason for one in merged.conflicts} == {
        "v2": "both mark Consolidation, with no frame in common",
        "v3": "labels differ: A-line against B-line",
    }
    dropped = merge(*rows, logic="and", conflicts="drop")
    assert [row.video_id for row in dropped.rows] == ["v1", "v4", "v6", "v7"]
    assert [row.video_id for row in dropped.ignored] == ["v1", "v4", "v6", "v7"]
    assert dropped.conflicts == merged.conflicts
    with pytest.raises(InputError, match=r"2 videos are in conflict: v2: .*; v3: "):
        merge(*rows, logic="and", conflicts="stop")


def test_the_originals_exclusions_come_out():
    """Section 1.3: of 382 rows one differs and four share no frame; 377 are left."""

    def row(number, finding, *ranges):
        return LabelRow(f"v{number:03d}", number, {finding: ranges})

    first = [row(n, "a_line", (1, 40)) for n in range(382)]
    second = [row(n, "a_line", (20, 60)) for n in range(382)]
    second[7] = row(7, "consolidation", (1, 40))
    for n in (11, 50, 51, 381):
        second[n] = row(n, "a_line", (41, 90))
    merged = merge(first, second, logic="and", conflicts="drop")
    assert len(merged.rows) == 377
    assert [one.video_id for one in merged.conflicts] == [
        *("v007", "v011", "v050", "v051", "v381")
    ]
    assert {row.ranges["a_line"] for row in merged.rows} == {((20, 40),)}
    either = merge(first, second, logic="or", conflicts="keep")
    assert len(either.rows) == 382
    assert either.rows[0].ranges["a_line"] == ((1, 60),)


def test_a_video_in_one_sheet_is_listed_and_kept_only_on_request(rows):
    merged = merge(*rows, logic="or")
    assert merged.unpaired == [("v5", "first"), ("v8", "second")]
    assert not {"v5", "v8"} & {row.video_id for row in merged.rows}
    kept = marks(merge(*rows, logic="and", unpaired="keep").rows)
    assert kept["v5"] == {"pleural_effusion": ((7, 12),)}
    assert kept["v8"] == {"a_line": ((1, 5),)}


def test_sheets_without_a_common_video_are_refused(rows):
    with pytest.raises(InputError, match="no video in common"):
        merge(rows[0][:1], rows[1][:1], logic="and")


def test_a_merged_sheet_reads_back(rows, tmp_path):
    merged = merge(*rows, logic="and").rows
    path = tmp_path / "merged.csv"
    path.write_text(sheet_text(merged))
    read = read_sheet(path)
    assert marks(read) == marks(merged)
    assert [row.score for row in read] == [row.score for row in merged]
    assert {row.frames for row in read} == {60}
    assert read[0].other["Point Zone"] == "R1" and read[0].other["Lung sliding"] == "+"


def test_the_report_counts_videos_and_frames(rows):
    report = compare(merge(*rows, logic="and"))
    table = report.videos["a_line"]  # v1 both; v3 first; v2 v4 v6 v7 neither
    assert (table.both, table.first_only, table.second_only, table.neither) == (
        1,
        1,
        0,
        4,
    )
    table = report.frames["a_line"]
    assert (table.both, table.first_only, table.second_only) == (11, 19 + 10, 10)
    assert table.total == 6 * 60
    # B-line and confluent B-line are one target: v6 agrees on 1-30 there.
    assert report.frames["total_b_line"].both == 30
    assert report.frames["confluent_b_line"].both == 10
    assert report.one_sided["v3"] == ["A-line (first only)", "B-line (second only)"]
    assert report.scores == ["second sheet, v1: the sheet says 2, its marks give 0"]


def test_an_undefined_kappa_is_said_to_be_not_defined(rows):
    report = compare(merge(*rows, logic="and"))
    assert report.videos["pleural_effusion"].kappa is None
    tree = json.loads(as_json(report))
    assert tree["agreement"]["Pleural effusion"]["videos"]["kappa"] is None
    line = next(
        line for line in as_markdown(report).splitlines() if "| Pleural" in line
    )
    assert line.endswith("| 1.000 | not defined |")


def test_videos_of_unknown_length_do_not_count_by_frame(tmp_path):
    rows = [read_sheet(sheet(tmp_path, "v1,,,1_9,,,,,,", "v2,30,,,,,,,,"))] * 2
    report = compare(merge(*rows, logic="and"))
    assert report.uncounted == ["v1"]
    assert report.frames["a_line"].total == 30
    assert report.videos["a_line"].total == 2


def test_marks_beyond_a_stated_length_are_not_counted_by_frame(tmp_path):
    rows = [
        read_sheet(sheet(tmp_path, f"v1,{count},,1_20,,,,,,", name=f"{count}.csv"))
        for count in ("", 10 + 10)
    ]
    assert compare(merge(*rows, logic="and")).uncounted == []
    short = [sheet(tmp_path, "v1,10,,1_9,,,,,,", name="short.csv")]
    rows = [rows[0], read_sheet(short[0])]
    assert compare(merge(*rows, logic="and")).uncounted == ["v1"]


def run(*words):
    return main(["labels", *map(str, words)])


def test_the_command_writes_what_it_is_asked_for(sheets, tmp_path, capsys):
    out = tmp_path / "out"
    code = run(
        *("merge", *sheets, "--logic", "and", "--out", out / "m.csv"),
        *("--ignore-out", out / "i.csv", "--report", out / "r.md"),
    )
    assert code == 0
    assert sorted(p.name for p in out.iterdir()) == ["i.csv", "m.csv", "r.md"]
    assert len(read_sheet(out / "m.csv")) == len(read_sheet(out / "i.csv")) == 6
    assert "| Consolidation |" in (out / "r.md").read_text()
    said = capsys.readouterr()
    assert "6 videos compared, 6 in the merged sheet; 2 in conflict (kept)" in said.out
    assert "conflict: v3: labels differ" in said.out
    assert "in the first sheet only: v5" in said.out
    assert "not named by pseudonyms" in said.err


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--logic", "or", "--ignore-out", "i.csv"], "goes with --logic and"),
        (["--logic", "and", "--report", "r.pdf"], ".md or .json"),
        (["--logic", "and", "--conflicts", "stop"], "2 videos are in conflict"),
        (["--logic", "and", "--key-file", "absent"], "no such key file"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_written(
    sheets, tmp_path, capsys, monkeypatch, more, said
):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    assert run("merge", *sheets, "--out", "m.csv", *more) == 2
    err = capsys.readouterr().err
    assert said in err and len(err.splitlines()) == 1
    assert sorted(tmp_path.iterdir()) == before


def test_a_sheet_is_never_written_over(sheets, capsys):
    before = sheets[0].read_bytes()
    assert run("merge", *sheets, "--logic", "and", "--out", sheets[0]) == 2
    assert "written over" in capsys.readouterr().err
    assert sheets[0].read_bytes() == before


def test_check_lists_scores_that_the_marks_contradict(sheets, tmp_path, capsys):
    assert run("check", sheets[0]) == 0
    assert "7 rows, every cell is readable; 1 are blank" in capsys.readouterr().out
    assert run("check", sheets[1]) == 1
    assert "v1: the sheet says 2, its marks give 0" in capsys.readouterr().out
    bad = sheet(tmp_path, "v1,60,,5-Oct,,,,,,", name="bad.csv", heading=HEADING)
    assert run("check", bad) == 2
    assert "row 2, column A-line: '5-Oct'" in capsys.readouterr().err
