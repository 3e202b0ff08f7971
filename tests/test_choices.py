"""What an option offers is what the library knows, and what it does not know is refused at once."""

import json
from collections.abc import Iterator
from typing import Any, get_args

import pytest
import typer

from gseg_cli import choices
from gseg_cli.annotate.tools.label_set import LABEL_SETS
from gseg_cli.app import app, main
from gseg_cli.datasets.protocol import ALL
from gseg_cli.datasets.protocols import PROTOCOLS
from gseg_cli.distill.config import GEOMETRIES, AugmentConfig
from gseg_cli.distill.loss import LOSSES
from gseg_cli.distill.net_config import STRIDES
from gseg_cli.evaluate.boundary import TOLERANCE
from gseg_cli.fewshot.config import STEPS
from gseg_cli.fewshot.features import REPRESENTATIONS
from gseg_cli.fewshot.model import MODELS
from gseg_cli.gan import framing
from gseg_cli.gan.load import ARCHITECTURES
from gseg_cli.gan.networks.config import CONFIGS
from gseg_cli.reproduce.tables import TABLES
from gseg_export.export import Options
from gseg_runtime.detail import Edges
from tests.test_imports import CLI, REFUSE, python

COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
SPLITS = {ALL, *(split for protocol in PROTOCOLS.values() for split in protocol.splits)}
KNOWN = [
    ("GanKind", ARCHITECTURES), ("GanKind", CONFIGS), ("Fit", framing.FITS), ("TeacherModel", MODELS),
    ("Edges", get_args(Edges)),
    ("TeacherModel", STEPS), ("Features", REPRESENTATIONS), ("StudentSize", STRIDES), ("Loss", LOSSES),
    ("Geometry", GEOMETRIES), ("ProtocolName", PROTOCOLS), ("Split", SPLITS), ("TableName", [*TABLES, "all"]),
    ("Tool", LABEL_SETS),
]  # fmt: skip
# Wrong for a reason that no type says.
WRONG = [
    ["gan-train", "photos", "--resolution", "48"], ["gan-train", "photos", "--batch", "8", "--microbatch", "3"],
    ["gan-train", "photos", "--augment", "1.5"], ["gan-train", "photos", "--augment", "some"],
    ["gan-train", "photos", "--crop", "9,9,1,1"], ["gan-train", "photos", "--crop", "0,0,24,12"],
    ["distill", "--steps", "5", "--minutes", "1"],
    ["distill", "--batch", "8", "--microbatch", "3"], ["fewshot-train", "--steps", "5", "--schedule", "paper"],
    ["sample", "--seeds", "9-0"], ["predict", "--for", "cvat", "--seeds", "9-0"],
    ["sample", "--count", "2", "--pick", "diverse", "--seed", "1"],
    ["convert", "gan.pkl", "gan.pt"], ["export", "--batch", "8"],
    *([name, "--device", "cuda:one"] for name in ("distill", "fewshot-train", "sample", "demo")),
]  # fmt: skip


@pytest.mark.parametrize(("name", "known"), KNOWN)
def test_an_option_offers_what_the_library_knows(name, known):
    assert sorted(get_args(getattr(choices, name))) == sorted(known)


def test_a_default_that_stands_in_no_config_is_the_library_s():
    assert GEOMETRIES[default_of("distill", "geometry")] == AugmentConfig()
    assert default_of("evaluate", "boundary_tolerance") == TOLERANCE
    assert default_of("export", "batch") == Options().batch


def default_of(command: str, option: str) -> Any:
    return next(param.default for param in COMMANDS[command].params if param.name == option)


def test_every_config_module_is_importable_without_pytorch_and_numpy():
    paths = [CLI / "choices.py", *CLI.rglob("config.py"), *CLI.rglob("*_config.py")]
    modules = [path.relative_to(CLI.parent).with_suffix("").as_posix().replace("/", ".") for path in paths]
    assert len(modules) >= 9
    python(
        "\n".join([f"REFUSED = ('torch', 'numpy', 'PIL', 'typer'){REFUSE}", *(f"import {name}" for name in modules)])
    )


def wrong_calls() -> Iterator[list[str]]:
    """Of every command, for each of its options that is a choice or a number, a call in which that option is wrong."""
    for name, command in COMMANDS.items():
        needed = [word for param in command.params if param.required for word in right(param)]
        for param in command.params:
            if (word := wrong_word(param.type)) is not None and param.param_type_name == "option":
                yield [name, *needed, param.opts[0], word]


def right(param: Any) -> list[str]:
    word = param.type.choices[0] if hasattr(param.type, "choices") else "x"
    return [word] if param.param_type_name == "argument" else [param.opts[0], word]


def wrong_word(kind: Any) -> str | None:
    if hasattr(kind, "choices"):
        return "such-as-nobody-knows"
    least, most = getattr(kind, "min", None), getattr(kind, "max", None)
    return str(least - 1) if least is not None else str(most + 1) if most is not None else None


def test_a_wrong_choice_or_number_is_wrong_usage_and_refused_before_pytorch_is_imported():
    calls = [*wrong_calls(), *WRONG]
    assert {words[0] for words in calls} >= {"gan-train", "distill", "sample", "dataset", "segment", "export", "demo"}
    code = "import json, sys; from gseg_cli.app import main\n"
    code += "for words in json.loads(sys.argv[1]):\n    print(json.dumps([words, main(words), 'torch' in sys.modules]))"
    answers = [json.loads(line) for line in python(code, json.dumps(calls)).splitlines()]
    assert [answer for answer in answers if answer[1:] != [2, False]] == [] and len(answers) == len(calls)


def test_every_number_has_its_bounds():
    params = [param for command in COMMANDS.values() for param in command.params]
    numbers = [param for param in params if param.type.name.startswith(("int", "float"))]
    assert len(numbers) > 50 and [param.name for param in numbers if getattr(param.type, "min", None) is None] == []


@pytest.mark.parametrize(
    "words",
    [
        ["distill", "--loss", "mse"], ["fewshot-train", "--model", "vit"], ["sample", "--pick", "best"],
        ["gan-train", "photos", "--fit", "stretch"], ["fewshot-segment", "photos", "-o", "out", "--space", "z"],
        ["annotate-import", "drawn", "--unlabelled", "sky"], ["dataset", "celeba", "photos", "-o", "out"],
        ["reproduce", "table7"],
    ],
)  # fmt: skip
def test_a_word_that_an_option_does_not_know_is_answered_with_those_it_knows(words, capsys):
    assert main(words) == 2
    shown = capsys.readouterr().err
    assert "is not one of" in shown and f"hint: see gseg {words[0]} --help" in shown
