"""Pages whose figures differ from processor to processor: a section for each, and a run replaces its own."""

import re
from pathlib import Path

from gseg_cli.evaluate.result_cache import hardware
from gseg_runtime.files import write_text


def write_page(path: Path, head: str, section: str) -> str:
    """The page, also written: `head`, then the sections of all processors, with this one's new."""
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    sections = dict(re.findall(r"^## (.+)\n\n((?:(?!## ).*\n)*)", text, flags=re.MULTILINE))
    sections[hardware()] = section.strip() + "\n"
    page = "\n".join([head.strip() + "\n", *(f"## {name}\n\n{sections[name].strip()}\n" for name in sorted(sections))])
    write_text(path, page)
    return page
