"""Names of shapes and the classes that they mean."""

import shlex

import numpy as np
import pytest

from gseg_cli.annotate.drawing import Drawing, Layer
from gseg_cli.annotate.names import Names, parse_mapping, unknown_classes, unused_mappings, with_classes
from gseg_cli.annotate.shapes import Bitmap
from gseg_runtime.class_map import ClassMap
from gseg_runtime.errors import UsageError

COMPOSED, DECOMPOSED = "fen\u00eatre", "fene\u0302tre"
HOUSE = ClassMap.of_names(["background", COMPOSED])


def test_a_label_means_its_class_however_its_accents_are_encoded() -> None:
    assert Names(HOUSE).index(DECOMPOSED.title()) == 1
    assert Names(HOUSE, {DECOMPOSED: "background"}).index(COMPOSED) == 0


def test_a_new_class_is_added_once_however_its_accents_are_encoded() -> None:
    assert with_classes(ClassMap.of_names(["background"]), [DECOMPOSED, COMPOSED]).names == HOUSE.names
    assert with_classes(HOUSE, [DECOMPOSED]).names == HOUSE.names


def test_map_takes_a_file_with_an_entry_on_each_line(tmp_path):
    file = tmp_path / "parts.txt"
    file.write_text("# shoes\nboots=shoes\n\n  # of women\n high heels = shoes\n", encoding="utf-8-sig")
    assert parse_mapping([str(file), "41=skin"]) == {"boots": "shoes", "high heels": "shoes", "41": "skin"}


def test_a_map_file_that_is_missing_is_said_to_be_no_entry():
    with pytest.raises(UsageError, match=r"--map 'parts\.txt': expected NAME=CLASS"):
        parse_mapping(["parts.txt"])


def test_a_line_of_a_map_file_that_is_no_entry_is_told_with_its_file(tmp_path):
    file = tmp_path / "parts.txt"
    file.write_text("boots=shoes\nheels shoes\n")
    with pytest.raises(UsageError, match=r"parts\.txt: 'heels shoes': expected NAME=CLASS"):
        parse_mapping([str(file)])


def test_entries_that_met_no_shape_are_one_warning():
    drawing = Drawing("a.json", ("a",), None, [Layer("boots", Bitmap(np.ones((1, 1), bool)))])
    names = Names(HOUSE, {"boots": "-", "heels": "-", "clogs": "-"})
    assert unused_mappings([drawing], names) == ["--map: no shape is called heels, clogs (found: boots)"]


def test_that_nothing_else_was_found_for_all_others_is_no_slip():
    drawing = Drawing("a.json", ("a",), None, [Layer("boots", Bitmap(np.ones((1, 1), bool)))])
    assert unused_mappings([drawing], Names(HOUSE, {"boots": "-", "*": "-"})) == []


@pytest.mark.parametrize("label", ["driver's windov", "driver's hat"])
def test_hints_quote_names_with_an_apostrophe_so_that_a_shell_takes_them(label):
    (error,) = unknown_classes({label: ["a.json"]}, Names(ClassMap.of_names(["background", "window"])))
    quoted = [word for word in shlex.split(error.hint) if word.startswith(label)]
    assert len(quoted) == 2 and quoted[1] == f"{label}=-"
