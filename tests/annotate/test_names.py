"""Names of shapes and the classes that they mean."""

from gseg_cli.annotate.names import Names, with_classes
from gseg_runtime.class_map import ClassMap

COMPOSED, DECOMPOSED = "fen\u00eatre", "fene\u0302tre"
HOUSE = ClassMap.of_names(["background", COMPOSED])


def test_a_label_means_its_class_however_its_accents_are_encoded() -> None:
    assert Names(HOUSE).index(DECOMPOSED.title()) == 1
    assert Names(HOUSE, {DECOMPOSED: "background"}).index(COMPOSED) == 0


def test_a_new_class_is_added_once_however_its_accents_are_encoded() -> None:
    assert with_classes(ClassMap.of_names(["background"]), [DECOMPOSED, COMPOSED]).names == HOUSE.names
    assert with_classes(HOUSE, [DECOMPOSED]).names == HOUSE.names
