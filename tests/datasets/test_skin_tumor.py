import cv2
import numpy as np
import pytest

from tests.datasets import make_dummy_images as draw
from tests.datasets.building import built, records, skipped
from tests.datasets.made_videos import write_xlsx
from ultrasound_jax.datasets.errors import DatasetError
from ultrasound_jax.datasets.skin_tumor.files import class_of, patients_table
from ultrasound_jax.datasets.skin_tumor.panels import skin_crop, without_doppler
from ultrasound_jax.datasets.skin_tumor.skin_tumor_dataset_builder import Builder

PERSON = "Kim Minsu"


@pytest.fixture
def tree(tmp_path):
    draw.skin_tumor(tmp_path / "manual")
    return tmp_path / "manual"


@pytest.fixture
def build(tree, tmp_path):
    return lambda **options: built(Builder, tree, tmp_path / "out", **options)


def b_mode(seed=1, height=90, width=100):
    grey, _ = draw.tissue(seed, height, width)
    return np.repeat(grey[..., None], 3, axis=2)


def test_class_folders_may_be_spelt_in_other_ways():
    names = ("Epidermal Cyst", "epidermal-cyst", "LIPOMA", "pilomatrixoma", "other")
    found = [class_of(name) for name in names]
    assert found == ["epidermal_cyst"] * 2 + ["lipoma", "pilomatricoma", None]


def test_a_record_has_its_class_and_a_patient(build):
    found = records(build())
    assert sorted(found) == [
        "epidermal_cyst_0001",
        "epidermal_cyst_0002",
        "lipoma_0001",
        "pilomatricoma_0001",
    ]
    record = found["lipoma_0001"]
    assert record["image"].shape == (224, 224, 1)
    assert record["label"] == 1 and record["labels"].tolist() == [0, 1, 0]
    assert record["patient_id"] == found["epidermal_cyst_0002"]["patient_id"]
    assert len({one["patient_id"] for one in found.values()}) == 3


def test_the_colour_panel_beside_is_removed():
    picture = b_mode()
    pair = np.concatenate([picture, draw.doppler(picture)], axis=1)
    assert np.array_equal(without_doppler(pair, name="x"), picture)
    assert np.array_equal(without_doppler(pair[:, ::-1], name="x"), picture[:, ::-1])


def test_the_colour_panel_below_is_removed():
    picture = b_mode()
    pair = np.concatenate([picture, draw.doppler(picture)], axis=0)
    assert np.array_equal(without_doppler(pair, name="x"), picture)


def test_panels_of_different_sections_are_told_by_the_gap():
    picture, other = b_mode(1), draw.doppler(b_mode(2))
    gap = np.zeros((90, 6, 3), np.uint8)
    pair = np.concatenate([picture, gap, other], axis=1)
    assert np.array_equal(without_doppler(pair, name="x")[:, :100], picture)


def test_panels_survive_jpeg():
    picture = b_mode(3, 200, 220)
    pair = np.concatenate([picture, draw.doppler(picture)], axis=1)
    _, stored = cv2.imencode(".jpg", pair[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])
    seen = np.asarray(cv2.imdecode(stored, cv2.IMREAD_COLOR)[..., ::-1])
    kept = without_doppler(seen, name="x")
    assert kept.shape == picture.shape
    assert np.abs(kept.astype(int) - picture).mean() < 4


def test_pictures_without_flow_are_left_whole():
    picture = b_mode()
    assert without_doppler(picture, name="x") is picture
    marked = picture.copy()
    marked[2:4, 2:4] = (0, 255, 0)
    assert without_doppler(marked, name="x") is marked
    sepia = np.rint(picture * [1.0, 0.7, 0.3]).astype(np.uint8)
    assert without_doppler(sepia, name="x") is sepia


def test_flow_on_the_picture_itself_is_refused():
    flow = draw.doppler(b_mode())
    with pytest.raises(DatasetError, match="x: flow colours and no panel without them"):
        without_doppler(flow, name="x")


def test_one_picture_with_flow_at_its_side_is_not_halved():
    alone = b_mode(5)
    alone[30:60, 5:35] = (210, 20, 30)
    with pytest.raises(DatasetError, match="no panel without them"):
        without_doppler(alone, name="x")


def test_the_crop_is_a_square_that_starts_above_the_skin():
    picture = np.full((300, 200), 20, np.uint8)
    picture[120:] = 110  # tissue below gel
    picture[120:126] = 240  # the skin
    square = skin_crop(picture)
    assert square.shape == (200, 200)
    skin = int((square > 200).all(axis=1).argmax())
    assert skin == pytest.approx(20, abs=3)  # smoothing widens the skin


def test_the_crop_stays_inside_and_leaves_black_margins_out():
    picture = np.zeros((200, 400), np.uint8)
    picture[10:160, 40:340] = 100
    assert skin_crop(picture).shape == (150, 150)
    assert skin_crop(picture).min() == 100
    assert skin_crop(np.zeros((30, 40), np.uint8)).shape == (30, 30)


def test_removed_panels_are_listed(build):
    builder = build(drop_doppler=True, crop_skin=True, size=60)
    assert builder.info.metadata["panels_removed"] == ["lipoma_0001"]
    expected, _ = draw.tissue(22, 60, 60)
    assert np.array_equal(
        records(builder)["lipoma_0001"]["image"][..., 0], skin_crop(expected)
    )


def test_a_picture_with_flow_only_is_skipped_where_flow_must_go(tree, build):
    draw.save(tree / "lipoma" / "9.png", draw.doppler(b_mode()))
    with (tree / "patients.csv").open("a", encoding="utf-8") as file:
        file.write("lipoma/9.png,d\n")
    builder = build(drop_doppler=True)
    assert skipped(builder) == {"lipoma_0002": "flow colours and no panel without them"}


def test_pictures_without_a_patient_are_skipped(tree, build):
    draw.save(tree / "lipoma" / f"{PERSON}.png", draw.tissue(7)[0])
    builder = build()
    assert skipped(builder) == {"lipoma_0002": "has no row in patients.csv"}
    written = b"".join(p.read_bytes() for p in builder.data_path.iterdir())
    assert PERSON.encode() not in written


def test_patients_may_stand_in_a_workbook(tree, build):
    rows = (tree / "patients.csv").read_text(encoding="utf-8").splitlines()
    write_xlsx(tree / "patients.xlsx", [row.split(",") for row in rows])
    with pytest.raises(DatasetError, match=r"patients.csv and patients.xlsx"):
        patients_table(tree)
    (tree / "patients.csv").unlink()
    found = records(build())
    owners = {name: record["patient_id"] for name, record in found.items()}
    assert owners["lipoma_0001"] == owners["epidermal_cyst_0002"]
    assert len(set(owners.values())) == 3


def test_a_patient_s_number_is_one_however_a_program_saves_it(tree, build):
    rows = (tree / "patients.csv").read_text(encoding="utf-8").splitlines()
    files = [row.split(",")[0] for row in rows[1:]]
    lines = [
        f"{name},{one}"
        for name, one in zip(files, ("07", "7", "7.0", "8"), strict=True)
    ]
    text = "\n".join(["file,patient_id", *lines])
    (tree / "patients.csv").write_text(text, encoding="utf-8")
    builder = build()
    assert len({one["patient_id"] for one in records(builder).values()}) == 2
    notes = builder.info.metadata["notes"]
    assert any("spelled in several ways" in note for note in notes)


def test_without_a_csv_near_duplicates_share_a_patient(tree, build):
    (tree / "patients.csv").unlink()
    picture = cv2.imread(str(tree / "lipoma" / "2.png"))
    draw.save(tree / "lipoma" / "3.png", picture // 2 + 30)
    (tree / "lipoma" / "4.png").write_bytes(b"broken")
    builder = build()
    found = records(builder)
    assert found["lipoma_0002"]["patient_id"] == "like_lipoma_0001"
    assert len({one["patient_id"] for one in found.values()}) == 4
    assert skipped(builder)["lipoma_0003"].startswith("not a picture")
    assert "no patients.csv" in builder.info.metadata["notes"][1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"file,patient_id,name\na.png,1,{PERSON}\n", "allowed are the columns file"),
        (f"{PERSON},1\n", "allowed are the columns file"),
        (f"file,patient_id\n{PERSON}.png,\n", "row 1: needs two cells"),
        (
            f"file,patient_id\n{PERSON}.png,1\n{PERSON}.png,2\n",
            "row 2: a file of two patients",
        ),
    ],
)
def test_a_patient_csv_that_cannot_be_is_refused(tree, tmp_path, text, message):
    (tree / "patients.csv").write_text(text, encoding="utf-8")
    with pytest.raises(DatasetError) as refused:
        built(Builder, tree, tmp_path / "out")
    assert message in str(refused.value) and PERSON not in str(refused.value)


def test_a_folder_without_classes_is_refused(tmp_path):
    (tmp_path / "other").mkdir()
    with pytest.raises(DatasetError, match="no folder named epidermal_cyst, lipoma"):
        built(Builder, tmp_path, tmp_path / "out")


@pytest.mark.parametrize(
    ("folder", "label"),
    [
        ("Lipomas", "lipoma"),
        ("LIPOMA ", "lipoma"),
        ("2. Lipoma (129)", "lipoma"),
        ("Epidermal  Cysts", "epidermal_cyst"),
        ("EpidermalCyst", "epidermal_cyst"),
        ("epidermoid-cysts", "epidermal_cyst"),
        ("Pilomatrixomas", "pilomatricoma"),
        ("pilomatricoma_", "pilomatricoma"),
        ("lipomatosis", None),
        ("liposarcoma", None),
        ("cysts", None),
        ("s", None),
    ],
)
def test_class_folders_in_the_plural_and_with_numbers(folder, label):
    assert class_of(folder) == label


def test_a_folder_in_another_spelling_is_noted_and_its_patients_are_found(tree, build):
    (tree / "lipoma").rename(tree / "Lipomas")
    builder = build()
    assert records(builder)["lipoma_0001"]["patient_id"]
    assert (
        "the folder of lipoma is spelt in another way" in builder.info.metadata["notes"]
    )


def test_what_has_no_class_is_listed_and_not_named(tree, build):
    draw.save(tree / PERSON / "1.png", draw.tissue(7)[0])
    draw.save(tree / "lipoma" / PERSON / "1.png", draw.tissue(7)[0])
    (tree / "lipoma" / f"{PERSON}.dcm").touch()
    (tree / "notes").mkdir()
    builder = build()
    assert skipped(builder) == {
        "not used 1": "1 pictures of a folder that is named after no class, allowed "
        "are epidermal_cyst, lipoma, pilomatricoma",
        "not used 2": "1 folders within that of lipoma",
        "not used 3": "1 files of lipoma are none of "
        ".png, .jpg, .jpeg, .tif, .tiff, .bmp",
    }
    assert len(records(builder)) == 4


def folds(tree):
    """The original's tree of the drawn pictures: each validates once, trains else."""
    pictures = sorted(tree.glob("*/*.png"))
    for fold in range(1, 6):
        for place, path in enumerate(pictures):
            part = "val" if place % 5 == fold - 1 else "train"
            target = tree / "kfold" / str(fold) / part / path.parent.name / path.name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    for path in pictures:
        path.unlink()
        if not any(path.parent.iterdir()):
            path.parent.rmdir()


def test_the_original_folds_hold_each_picture_once(tree, build):
    before = records(build())
    folds(tree)
    builder = build(size=223)
    after = records(builder)
    assert sorted(after) == sorted(before) and not skipped(builder)
    for name, record in after.items():
        assert record["patient_id"] == before[name]["patient_id"]
        assert record["label"] == before[name]["label"]
    assert (
        "kfold: 5 folds, of which each picture is taken once"
        in (builder.info.metadata["notes"])
    )


def test_a_picture_under_two_classes_is_not_used(tree, build):
    folds(tree)
    path = next((tree / "kfold" / "1" / "train" / "lipoma").iterdir())
    (tree / "kfold" / "1" / "val" / "pilomatricoma").mkdir(exist_ok=True, parents=True)
    other = tree / "kfold" / "1" / "val" / "pilomatricoma" / path.name
    other.write_bytes(path.read_bytes())
    builder = build()
    assert skipped(builder) == {"not used 1": "1 pictures that stand under two classes"}
    assert len(records(builder)) == 3


def test_folds_without_classes_and_beside_them_are_refused(tree, tmp_path):
    (tree / "kfold" / "1").mkdir(parents=True)
    with pytest.raises(DatasetError, match="kfold beside class folders"):
        built(Builder, tree, tmp_path / "out")
    with pytest.raises(DatasetError, match="kfold without <fold>/train/<class>"):
        (tmp_path / "other" / "kfold" / "1").mkdir(parents=True)
        built(Builder, tmp_path / "other", tmp_path / "out")


@pytest.mark.parametrize("separator", [";", "\t", ","])
@pytest.mark.parametrize("said", [True, False])
def test_patients_may_be_parted_by_other_signs(tree, build, separator, said):
    text = (tree / "patients.csv").read_text(encoding="utf-8")
    text = text.replace(",", separator)
    text = f"sep={separator}\n{text}" if said else text
    (tree / "patients.csv").write_text(text, encoding="utf-8-sig")
    builder = build()
    assert len(records(builder)) == 4 and not skipped(builder)
