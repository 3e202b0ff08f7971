"""The pages name commands, options, targets and files that exist."""

import re
import runpy
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from gseg_cli.app import BUG, PARTIAL, app
from gseg_cli.interruption import EXIT_CODE as INTERRUPTED
from gseg_cli.options import take_globals
from gseg_runtime.errors import GsegError, UsageError

ROOT = Path(__file__).parents[1]
PAGES = (
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    *(f"docs/{page.name}" for page in sorted((ROOT / "docs").glob("*.md"))),
)
NAMED_FILE = re.compile(r"(?<![\w/.])(?:gseg_cli|tests|benchmarks|docs)/[a-z0-9_/-]+\.[a-z]+")
GLOBAL_OPTIONS = {"-C", "--project", "--json", "--debug", "--version", "-h", "--help"}

COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]


@pytest.fixture(autouse=True)
def fresh_settings() -> Iterator[None]:
    yield
    take_globals([])


def read(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def without_blocks(text: str) -> str:
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def shell_lines(text: str) -> Iterator[list[str]]:
    """Every command line in a sh block, in words."""
    for block in re.findall(r"^```sh\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            if words := shlex.split(line, comments=True):
                yield words


def inline_code(page: str) -> list[str]:
    return [" ".join(code.split()) for code in re.findall(r"`([^`]+)`", without_blocks(read(page)))]


def options_of(command: Any) -> set[str]:
    return GLOBAL_OPTIONS.union(*([*param.opts, *param.secondary_opts] for param in command.params))


def test_the_command_page_is_what_the_program_says() -> None:
    made = runpy.run_path(str(ROOT / "docs" / "make_cli.py"))["page"]()
    assert read("docs/cli.md") == made, "run: .venv/bin/python docs/make_cli.py"


@pytest.mark.parametrize("page", PAGES)
def test_gseg_lines_in_a_page_are_understood_by_the_program(page: str) -> None:
    for words in shell_lines(read(page)):
        if words[0] == "gseg":
            name, *rest = take_globals(words[1:])
            COMMANDS[name].make_context(f"{page}: gseg {name}", rest)  # raises for what it does not take


def test_the_readme_shows_three_commands_and_the_two_targets() -> None:
    lines = list(shell_lines(read("README.md")))
    assert [words[:2] for words in lines[:3]] == [["pip", "install"], ["gseg", "demo"], ["gseg", "segment"]]
    assert ["make", "demo"] in lines and ["make", "test"] in lines


def test_the_steps_for_your_own_photos_are_in_the_order_in_which_they_run() -> None:
    section = read("README.md").partition("\n## Your own photos\n")[2].partition("\n## ")[0]
    assert [take_globals(words[1:])[0] for words in shell_lines(section) if words[0] == "gseg"] == [
        "gan-train", "init", "sample", "label", "fewshot-train", "distill", "export", "segment", "evaluate",
    ]  # fmt: skip


@pytest.mark.parametrize("page", PAGES)
def test_commands_and_options_in_running_text_exist(page: str) -> None:
    every_option = set.union(*map(options_of, COMMANDS.values()))
    for code in inline_code(page):
        if re.match(r"(pip|python|\.venv/bin/python) ", code):
            continue
        name = re.match(r"gseg ([a-z][a-z-]*)", code)
        assert name is None or name[1] in COMMANDS, f"{page}: {code}"
        known = options_of(COMMANDS[name[1]]) if name else every_option
        unknown = set(re.findall(r"(?<![\w-])--?[A-Za-z][\w-]*", code)) - known
        assert not unknown, f"{page}: {code}"


def test_the_tables_of_commands_and_exit_codes_are_complete() -> None:
    text = read("docs/commands.md")
    assert re.findall(r"^\| `gseg ([a-z-]+)` \|", text, flags=re.MULTILINE) == list(COMMANDS)
    table = text.partition("| Exit code |")[2].partition("\n\n")[0]
    codes = [int(code) for code in re.findall(r"^\| (\d+) \|", table, flags=re.MULTILINE)]
    assert codes == sorted([0, GsegError.exit_code, UsageError.exit_code, PARTIAL, BUG, INTERRUPTED])


@pytest.mark.parametrize("page", PAGES)
def test_make_targets_in_a_page_exist(page: str) -> None:
    targets = set(re.findall(r"^([a-z]+):", read("Makefile"), flags=re.MULTILINE))
    named = {words[1] for words in shell_lines(read(page)) if words[0] == "make"}
    named |= {code.split()[1] for code in inline_code(page) if code.startswith("make ")}
    assert named <= targets


@pytest.mark.parametrize("page", PAGES)
def test_files_and_headings_that_a_page_links_to_exist(page: str) -> None:
    for link, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)]+))?\)", without_blocks(read(page))):
        if not link.startswith("https://"):
            target = (ROOT / page).parent / link if link else ROOT / page
            assert target.exists(), f"{page}: {link}"
            assert not anchor or anchor in anchors_of(target), f"{page}: {link}#{anchor}"


@pytest.mark.parametrize("page", PAGES)
def test_files_of_the_repository_that_a_page_names_exist(page: str) -> None:
    assert [path for path in NAMED_FILE.findall(without_blocks(read(page))) if not (ROOT / path).exists()] == []


def anchors_of(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", without_blocks(page.read_text(encoding="utf-8")), flags=re.MULTILINE)
    return {anchor_of(heading) for heading in headings}


def anchor_of(heading: str) -> str:
    """As GitHub names them."""
    return re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-")
