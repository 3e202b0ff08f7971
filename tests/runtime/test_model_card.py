import json
from dataclasses import replace

import pytest

from gseg_runtime.class_map import ClassMap
from gseg_runtime.errors import ModelCardError
from gseg_runtime.model_card import ModelCard, Parent

CARD = ModelCard(
    classes=ClassMap.of_names(["background", "skin"]),
    input_size=64,
    parents=(Parent("generator", "gan.safetensors", "ab" * 32),),
    quality={"mean_iou": 0.75},
    created_by="gseg 0.1.0",
)


def test_a_card_survives_json() -> None:
    assert ModelCard.from_json(json.loads(json.dumps(CARD.to_json()))) == CARD


def test_a_card_of_tiles_survives_json_and_others_say_nothing_of_them() -> None:
    card = replace(CARD, resize="tiles", tile=256)
    assert ModelCard.from_json(json.loads(json.dumps(card.to_json()))) == card
    assert "tile" not in CARD.to_json()


def test_keys_of_later_versions_of_the_same_format_are_passed_over() -> None:
    assert ModelCard.from_json({**CARD.to_json(), "licence": "CC0"}) == CARD


@pytest.mark.parametrize(
    "change, message",
    [
        ({"format": 2}, "format 2, this version reads up to 1"),
        ({"format": "1"}, "format '1'"),
        ({"classes": []}, "expected 1 to 255"),
        ({"input_size": "64"}, "input_size"),
        ({"resize": "stretch"}, "resize: expected letterbox or tiles, got 'stretch'"),
        ({"resize": "tiles"}, "tile: expected 64 pixels or more"),
        ({"resize": "tiles", "tile": 9.5}, "tile: expected 64 pixels or more"),
        ({"resize": "tiles", "tile": 1}, "tile: expected 64 pixels or more"),
        ({"tile": 512}, "tile: expected 64 pixels or more with resize tiles, none with letterbox, got 512"),
        ({"tile": 1}, "tile: expected 64 pixels or more with resize tiles, none with letterbox, got 1"),
        ({"tile": "x"}, "tile: expected 64 pixels or more with resize tiles, none with letterbox, got 'x'"),
        ({"resize": ["tiles"]}, "resize: expected letterbox or tiles"),
        ({"fill": [0, 0, 300]}, "fill"),
        ({"precision": ["fp32"]}, "precision: expected a text"),
        ({"fill": 3}, "not iterable"),
        ({"parents": [{"kind": "generator"}]}, "missing 2 required"),
    ],
)
def test_wrong_cards_are_refused_with_the_reason(change: dict[str, object], message: str) -> None:
    with pytest.raises(ModelCardError, match=message):
        ModelCard.from_json({**CARD.to_json(), **change})


@pytest.mark.parametrize("key", ["format", "classes", "input_size"])
def test_a_missing_key_is_named(key: str) -> None:
    data = CARD.to_json()
    del data[key]
    with pytest.raises(ModelCardError, match=f"no {key}"):
        ModelCard.from_json(data)
