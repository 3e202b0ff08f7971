"""gseg.toml is a person's file: only the classes change in it, and only those that were changed."""

import pytest

from gseg_cli.label.palette import added, changed, write_changed
from gseg_cli.project_file import read_classes
from gseg_runtime.errors import GsegError, ProjectError

TOML = """\
# mine
[project]
name = "faces"  # [[classes]] is below
resolution = 16

[gan]
path = "builtin:toy-faces"

[[classes]]  # the first
name = "background"
[[ classes ]]
color = '#0f0'   # green
name = 'skin'
  [[classes]]
  # none yet
  name = "hair"
"""


@pytest.fixture
def toml(tmp_path):
    path = tmp_path / "gseg.toml"
    path.write_text(TOML)
    return path


def edit(toml, classes):
    """As the page does, which has the file's own classes."""
    write_changed(toml, read_classes(toml), classes)


def test_a_new_name_changes_that_line_alone(toml):
    edit(toml, changed(read_classes(toml), 1, name="face"))
    assert toml.read_text() == TOML.replace("name = 'skin'", 'name = "face"')


def test_a_new_colour_changes_that_value_alone(toml):
    edit(toml, changed(read_classes(toml), 1, color="#00ff01"))
    assert toml.read_text() == TOML.replace("'#0f0'", '"#00ff01"')


def test_a_colour_is_added_where_there_was_none(toml):
    edit(toml, changed(read_classes(toml), 2, color="#102030"))
    assert read_classes(toml).colors[2] == (0x10, 0x20, 0x30)
    assert len(toml.read_text().splitlines()) == len(TOML.splitlines()) + 1


def test_a_new_class_comes_last_and_all_else_stays(toml):
    edit(toml, added(read_classes(toml), ' "hat" \\ é ', "#123456"))
    assert toml.read_text().startswith(TOML)
    assert read_classes(toml).names == ("background", "skin", "hair", '"hat" \\ é')


@pytest.mark.parametrize("name", ["", " ", "skin", "a\tb", "Ignore"])
def test_a_name_that_cannot_be_is_refused(toml, name):
    classes = read_classes(toml)
    with pytest.raises(GsegError):
        added(classes, name)
    if name != "skin":
        with pytest.raises(GsegError):
            changed(classes, 1, name)


@pytest.mark.parametrize("index", [-1, 3])
def test_a_class_that_is_not_there_is_refused(toml, index):
    with pytest.raises(GsegError):
        changed(read_classes(toml), index, "x")


def test_a_file_that_cannot_be_edited_line_by_line_stays_as_it_is(toml):
    text = 'classes = [{name = "background"}, {name = "skin"}]\n' + TOML[: TOML.index("[[classes]]  #")]
    toml.write_text(text)
    for classes in (changed(read_classes(toml), 1, "face"), added(read_classes(toml), "hat")):
        with pytest.raises(ProjectError):
            edit(toml, classes)
    assert toml.read_text() == text


@pytest.mark.parametrize(
    "change", [("skin", "face"), ("#0f0", "#0f1"), ('  name = "hair"', '  name = "hair"\n[[classes]]\nname = "hat"')]
)
def test_classes_that_somebody_changed_in_the_file_meanwhile_stay_as_they_are(toml, change):
    before = read_classes(toml)
    toml.write_text(text := TOML.replace(*change))
    for classes in (changed(before, 2, "locks"), changed(before, 2, color="#112233"), added(before, "scarf")):
        with pytest.raises(ProjectError, match="changed meanwhile"):
            write_changed(toml, before, classes)
    assert toml.read_text() == text
