"""gseg merge: the reports and tables of several folders of masks as one."""

from pathlib import Path
from typing import Annotated

import typer

from gseg_cli.options import OutOpt, OverwriteOpt


def merge(
    folders: Annotated[list[Path], typer.Argument(metavar="MASKS...", help="Folders filled by gseg segment.")],
    out: OutOpt,
    overwrite: OverwriteOpt = False,
) -> None:
    """Merge the manifests, reports and tables of several shards.

    Writes one of each that the folders have; tables are CSV and COCO files. The masks stay where they are.
    """
    from gseg_cli.counted import counted
    from gseg_cli.output import current_output
    from gseg_runtime.merge import merge as merge_folders

    report = merge_folders(folders, out, overwrite=overwrite)
    failed = f", {report.failed} failed" if report.failed else ""
    masks = counted(report.done + report.skipped, "mask")
    text = f"{out}: report on {masks} in {counted(len(folders), 'folder')}{failed}; the masks stay where they are"
    current_output().result({"out": out, **report.to_json()}, text)
