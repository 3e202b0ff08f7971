"""Which classes a mirrored picture exchanges."""

import pytest

from gseg_cli.distill.sides import about_sides, exchange_table, sides_of
from gseg_runtime.class_map import ClassMap


def named(*names):
    classes = ClassMap.of_names(names)
    return [(names[one], names[other]) for one, other in sides_of(classes)]


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("left", "right"),
        ("front_left_door", "front_right_door"),
        ("Left Eye", "right eye"),
        ("leftmirror", "rightmirror"),
        ("armLeft", "armRight"),
        ("l_brow", "r_brow"),
        ("ear L", "ear R"),
        ("hand2l", "hand2r"),
        ("FL wheel", "FR wheel"),
        ("door-rl", "door-rr"),
        ("linke Tür", "rechte Tür"),
        ("phare gauche", "phare droit"),
        ("roue gauche", "roue droite"),
        ("ojo izquierdo", "ojo derecho"),
        ("occhio sinistro", "occhio destro"),
        ("olho esquerdo", "olho direito"),
        ("左目", "右目"),
        ("bright left lamp", "bright right lamp"),
        ("Klinke links", "Klinke rechts"),
        ("Blinker vorne links", "Blinker vorne rechts"),
        ("ArmL", "ArmR"),
        ("FLWheel", "FRWheel"),
    ],
)
def test_classes_whose_names_differ_in_the_side_alone_are_a_pair(left, right):
    assert named("background", left, "hood", right) == [(left, right)]
    assert named("background", right, left) == [(right, left)]
    assert named("background", left, "hood") == []


@pytest.mark.parametrize(
    "names",
    [
        ("leaf", "reaf"), ("lung", "rung"), ("light", "right"), ("bright", "dark"), ("load", "road"), ("l", "s"),
        ("LED", "RED"),
    ],
)  # fmt: skip
def test_names_that_tell_no_side_are_no_pair(names):
    assert named("background", *names) == []


def test_a_class_belongs_to_one_pair_only():
    assert named("background", "rear rl", "rear rr", "rear lr") == [("rear rl", "rear rr")]


def test_the_table_exchanges_the_pairs_and_keeps_all_else():
    table = exchange_table(((1, 4), (2, 3))).tolist()
    assert table[:6] == [0, 4, 3, 2, 1, 5] and table[6:] == list(range(6, 256))


def test_what_is_exchanged_is_said_and_a_side_without_a_counterpart_is_warned_of():
    names = ["left eye", "right eye", "l_ear", "r_ear", "left horn", "tailLeft", "copyright"]
    classes = ClassMap.of_names(["background", *names])
    said, warning = about_sides(classes)
    assert said == "mirrored pictures exchange left eye and right eye, and 1 more pair of classes"
    assert warning.startswith("warning: left horn, tailLeft: no class of the other side")
    assert not [*about_sides(ClassMap.of_names(["background", "bright spot"]))]
