"""Write cli.md, the help of every command as plain text of a fixed width: `python docs/make_cli.py`."""

import textwrap
from pathlib import Path
from typing import Any

import typer

from gseg_cli.app import app
from gseg_cli.options import GLOBAL_HELP

PAGE = Path(__file__).with_name("cli.md")
WIDTH = 100
HEAD = f"""\
# Commands

Made by `python docs/make_cli.py` from the program itself; `gseg COMMAND --help` shows the same.

{textwrap.fill(GLOBAL_HELP, WIDTH)} `gseg --version` prints the version.
"""


def page() -> str:
    root: Any = typer.main.get_command(app)
    context = root.context_class(root, info_name="gseg", **root.context_settings)
    sections = [_section(name, command, context) for name, command in root.commands.items()]
    return "\n".join([HEAD, *(f"- [gseg {name}](#gseg-{name})" for name in root.commands), "", *sections])


def _section(name: str, command: Any, parent: Any) -> str:
    command.rich_markup_mode = None  # plain text instead of boxes
    command.epilog = None  # the same under every command; it stands in HEAD
    context = command.context_class(
        command, parent=parent, info_name=name, terminal_width=WIDTH, max_content_width=WIDTH
    )
    return f"## gseg {name}\n\n```text\n{command.get_help(context)}\n```\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
