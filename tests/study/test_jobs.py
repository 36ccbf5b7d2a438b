"""A study of many jobs: what is done stays done, and what is cut goes on."""

import json
import time

import pytest

from ultrasound_jax.runs.signals import Prompt
from ultrasound_jax.study import jobs
from ultrasound_jax.types import UltrasoundError


@pytest.fixture
def place(tmp_path):
    return jobs.Place(tmp_path / "runs", tmp_path / "results", "made_")


@pytest.fixture
def made():
    """Three jobs, the last of which needs the first, and what was done by whom."""
    told = []

    def job(name, needs=()):
        def work(folder):
            told.append(name)
            return {"found": folder.name}

        return jobs.Job(name, f"about {name}", {"pixels": 8}, work, needs)

    return [job("a"), job("b"), job("c", ("a",))], told


def test_each_job_leaves_what_it_found_how_large_it_was_and_who_ran_it(place, made):
    jobs.run(made[0], place, say=lambda line: None)
    tree = json.loads((place.results / "made_b.json").read_text())
    assert tree["found"] == "b" and tree["job"]["sizes"] == {"pixels": 8}
    assert {"command", "commit", "date", "cpu"} <= tree["run"].keys()
    assert tree["job"]["about"] == "about b" and tree["job"]["minutes"] >= 0


def test_what_is_done_is_not_done_again(place, made):
    given, told = made
    jobs.run(given[:2], place, say=lambda line: None)
    before = place.result("a").read_bytes()
    jobs.run(given, place, say=lambda line: None)
    assert told == ["a", "b", "c"] and place.result("a").read_bytes() == before


def test_named_jobs_bring_what_they_need_in_the_studys_order(made):
    given, _ = made
    assert [job.name for job in jobs.chosen(given, ["c"])] == ["a", "c"]
    assert [job.name for job in jobs.chosen(given, [])] == ["a", "b", "c"]
    with pytest.raises(jobs.JobError, match="no job 'd'; there are a, b, c"):
        jobs.chosen(given, ["d"])


def test_a_job_that_fails_keeps_only_those_that_need_it_from_being_done(place, made):
    given, told = made

    def broken(folder):
        raise UltrasoundError("it\nis broken")

    first = jobs.Job("a", "", {}, broken)
    with pytest.raises(jobs.JobError, match="2 of 3 jobs failed; a: it is broken"):
        jobs.run([first, *given[1:]], place, say=lambda line: None)
    assert told == ["b"] and not place.done("a") and not place.done("c")


def test_an_interrupted_job_leaves_no_results_and_is_done_by_the_next_command(
    place, made
):
    given, told = made

    def cut(folder):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        jobs.run([jobs.Job("a", "", {}, cut), given[1]], place, say=lambda line: None)
    assert told == [] and not place.done("a")
    jobs.run(given, place, say=lambda line: None)
    assert told == ["a", "b", "c"]


def test_minutes_that_are_over_stop_what_runs_without_an_error(place, made):
    given, told = made
    said = []

    def long(folder):
        for _ in range(600):
            time.sleep(0.1)

    slow = jobs.Job("slow", "", {}, long)
    with Prompt():  # as every command has it
        jobs.run([slow, given[1]], place, minutes=0.01, say=said.append)
    assert told == [] and not place.done("slow")
    assert said[-1] == "0.01 minutes are over; the same command goes on"


def test_the_time_left_is_the_measured_one_at_the_pace_of_what_is_done(place, made):
    given, _ = made
    assert jobs.left(given, place) == "3 of 3 jobs left"
    place.folder.mkdir()
    file = place.folder / jobs.PLAN
    file.write_text(json.dumps({"minutes": {"a": 2.0, "b": 10.0}}))
    assert jobs.left(given, place).endswith("12 minutes and 1 that were not measured")
    jobs.run(given[:1], place, say=lambda line: None)
    tree = json.loads(place.result("a").read_text()) | {"minutes_trained": 3.0}
    place.result("a").write_text(json.dumps(tree))
    assert "2 of 3 jobs left, about 15 minutes" in jobs.left(given, place)
    said = []
    jobs.plan(given, place, said.append)
    assert "done, 3.0 min" in said[0] and "about 10.0 min" in said[1]
    assert "pixels 8" in said[1] and "not measured" in said[2]
