"""What a dataset calls its examples and what they are grouped by, in words.

An example has a unit (clip, image, slice), and so has the group that the second id of a
predictions table tells (video, lesion, volume). They and the patient name the levels at
which a table is judged: `clip`, `video_mean`, `video_max`, `patient_mean`,
`patient_max`; see `levels` for when there are fewer.
"""

from ultrasound_jax.analysis.errors import AnalysisError

CLIPS = ("clip", "video")
# Group, as the column `<group>_id` names it -> both units.
OF_GROUP = {
    "video": CLIPS,
    "image": ("image", "image"),
    "lesion": ("image", "lesion"),
    "slice": ("slice", "slice"),
    "volume": ("slice", "volume"),
}
PATIENT = "patient"
_TAKEN = ("example", PATIENT)
# How examples become a group -> in words.
_JOINED = {"mean": "mean of their", "max": "maximum of their", "": "all their"}


def check(units: tuple[str, str]) -> None:
    """Refuses units that are no words, or whose column is already there.

    Raises:
        AnalysisError: see above.
    """
    for unit in units:
        if not unit.isidentifier():
            raise AnalysisError(f"unit {unit!r} of a predictions table is no word")
    if units[1] in _TAKEN:
        raise AnalysisError(
            f"a group cannot be called {units[1]!r}: column {units[1]}_id is taken"
        )


def of_column(name: str) -> tuple[str, str]:
    """The units of a table whose second id is in this column, `video_id` for clips."""
    group = name.removesuffix("_id")
    return OF_GROUP.get(group, ("example", group))


def plural(unit: str) -> str:
    """The word for several: clips, studies."""
    if unit.endswith("y") and unit[-2:-1] not in "aeiou":
        return f"{unit[:-1]}ies"
    return f"{unit}es" if unit.endswith(("s", "x", "ch")) else f"{unit}s"


def level_words(level: str, units: tuple[str, str]) -> str:
    """A level in words: `clips`, or `videos, mean of their clips`."""
    if level == units[0]:
        return plural(units[0])
    group, how = split_level(level, units)
    return f"{plural(group)}, {_JOINED[how]} {plural(units[0])}"


def split_level(level: str, units: tuple[str, str]) -> tuple[str, str]:
    """What a row of a level is, and how it is made: `("video", "mean")`."""
    if level == units[0]:
        return level, ""
    group = PATIENT if level.partition("_")[0] == PATIENT else units[1]
    return group, level.removeprefix(group).removeprefix("_")


def short_words(level: str, units: tuple[str, str]) -> str:
    """A level in few words, for legends: `clip`, `video, mean`."""
    if level == units[0]:
        return units[0]
    return ", ".join(level.removeprefix("_").rsplit("_", 1))
