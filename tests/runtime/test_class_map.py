import tomllib

import pytest

from gseg_runtime.class_map import ClassMap, default_color, parse_color
from gseg_runtime.errors import ConfigError

FACES = ClassMap(("background", "skin", "eyes"), ((0, 0, 0), (230, 190, 160), (255, 0, 1)))


def test_classes_survive_json_and_toml() -> None:
    assert ClassMap.from_json(FACES.to_json()) == FACES
    assert FACES.to_json()[1] == {"name": "skin", "color": "#e6bea0"}
    odd = ClassMap(('say "no"', "back\\slash", "œil"), FACES.colors)
    assert ClassMap.from_toml_classes(tomllib.loads(odd.to_toml())["classes"]) == odd


def test_palette_holds_the_colours_and_a_light_grey_for_ignore() -> None:
    palette = FACES.palette()
    assert len(palette) == 768
    assert palette[:9] == bytes([0, 0, 0, 230, 190, 160, 255, 0, 1])
    assert palette[-3:] == bytes([224, 224, 224])


def test_index_names_the_nearest_class() -> None:
    assert FACES.index("eyes") == 2
    with pytest.raises(ConfigError, match="'eye'") as caught:
        FACES.index("eye")
    assert caught.value.hint == "did you mean eyes?"


def test_a_name_is_the_same_however_its_accents_are_encoded() -> None:
    composed, decomposed = "fen\u00eatre", "fene\u0302tre"
    classes = ClassMap.of_names(["background", decomposed])
    assert classes.names[1] == composed and classes.index(composed) == classes.index(decomposed) == 1
    with pytest.raises(ConfigError, match="more than once"):
        ClassMap.of_names(["background", composed, decomposed])


@pytest.mark.parametrize(
    "entries, message",
    [
        ([], "expected 1 to 255"),
        ([{"name": "a"}, {"name": "a"}], "a appears more than once"),
        ([{"name": " "}], "printable"),
        ([{"name": 3}], "printable"),
        ([{"color": "#ffffff"}], "class 0: no name"),
        ([{"name": "a", "color": "red"}], "class 0: expected a colour like #e6bea0, got 'red'"),
        ("a", "list of tables"),
        ([{"name": str(index)} for index in range(256)], "got 256"),
    ],
)
def test_wrong_classes_are_refused_with_the_reason(entries: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ClassMap.from_json(entries)


def test_default_colours_are_far_apart_and_the_background_is_black() -> None:
    classes = ClassMap.from_json([{"name": str(index)} for index in range(20)])
    assert classes.colors[0] == (0, 0, 0)
    assert len(set(classes.colors)) == 20
    assert default_color(3) == classes.colors[3]


def test_short_hex_colours() -> None:
    assert parse_color("#fa0") == (255, 170, 0)
