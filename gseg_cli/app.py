"""The root of the command line, and the one place where errors become text and exit codes.

Exit codes: 0 done, 1 failed, 2 usage, 3 some inputs failed and the rest is done, 70 bug, 130 interrupted.
"""

import errno
import functools
import inspect
import math
import os
import re
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from gseg_cli import __version__
from gseg_cli.commands.annotate_import import annotate_import
from gseg_cli.commands.bench import bench
from gseg_cli.commands.convert import convert
from gseg_cli.commands.dataset import dataset
from gseg_cli.commands.demo import demo
from gseg_cli.commands.distill import distill
from gseg_cli.commands.doctor import doctor
from gseg_cli.commands.evaluate import evaluate
from gseg_cli.commands.export import export
from gseg_cli.commands.fewshot_segment import fewshot_segment
from gseg_cli.commands.fewshot_train import fewshot_train
from gseg_cli.commands.gan_train import gan_train
from gseg_cli.commands.info import info
from gseg_cli.commands.init import init
from gseg_cli.commands.label import label
from gseg_cli.commands.merge import merge
from gseg_cli.commands.predict import predict
from gseg_cli.commands.reproduce import reproduce
from gseg_cli.commands.sample import sample
from gseg_cli.commands.segment import segment
from gseg_cli.commands.serve import serve
from gseg_cli.commands.student_train import student_train
from gseg_cli.commands.toy_faces import toy_faces
from gseg_cli.interruption import EXIT_CODE as INTERRUPTED
from gseg_cli.options import GLOBAL_HELP, settings, take_globals
from gseg_cli.output import Output, accept_any_name, current_output, new_output
from gseg_cli.streams import as_far_as_heard, is_stdout_full, open_closed_streams
from gseg_runtime.errors import GsegError, UsageError
from gseg_runtime.pip_hint import install

PARTIAL, BUG = 3, 70
# Packages of the extras, and which extra brings them.
EXTRAS = {
    "torch": "train",
    "safetensors": "train",
    "kornia": "train",
    "onnx": "export",
    "onnxscript": "export",
    "onnxruntime": "cpu",
    "scipy": "reproduce",
    "defusedxml": "annotate",
    "matplotlib": "charts",
    "psd_tools": "psd",
    "starlette": "label",
    "uvicorn": "label",
    "prometheus_client": "serve",
}
# Commands that need less than that: they have an extra of their own.
OWN_EXTRAS = {
    ("annotate-import", "safetensors"): "annotate",
    ("label", "torch"): "label",
    ("export", "torch"): "export",
    ("serve", "starlette"): "serve",
    ("serve", "uvicorn"): "serve",
}
# The user's disk, not our mistake: full, read-only, or not permitted.
DISK_ERRORS = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT)


def _unwrapped(command: Callable[..., None]) -> str:
    """A command's docstring with a paragraph per line, so that the terminal wraps it."""
    return re.sub(r"(?<!\n)\n(?!\n)", " ", inspect.getdoc(command) or "")


def _with_finite_numbers(command: Callable[..., None]) -> Callable[..., None]:
    """The command, with UsageError for nan and infinity: they pass every limit of an option, and mean nothing."""

    @functools.wraps(command)
    def checked(**options: Any) -> None:
        for name, value in options.items():
            if isinstance(value, float) and not math.isfinite(value):
                raise UsageError(f"--{name.replace('_', '-')}: expected a finite number, got {value}")
        command(**options)

    return checked


app = typer.Typer(
    help="Part segmentation from a StyleGAN2 and one to ten hand-labelled samples.",
    epilog=GLOBAL_HELP,
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (
    init,
    toy_faces,
    gan_train,
    convert,
    sample,
    annotate_import,
    label,
    fewshot_train,
    predict,
    fewshot_segment,
    distill,
    student_train,
    export,
    segment,
    merge,
    serve,
    bench,
    dataset,
    evaluate,
    reproduce,
    info,
    doctor,
    demo,
):
    name, checked = command.__name__.replace("_", "-"), _with_finite_numbers(command)
    app.command(name, help=_unwrapped(command), epilog=GLOBAL_HELP)(checked)


def _show_version(asked: bool) -> None:
    if asked:
        current_output().result({"version": __version__}, f"gseg {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def run() -> NoReturn:
    """The program `gseg`: `main`, and the end of its process."""
    open_closed_streams()
    code = main()
    if code == INTERRUPTED and any(thread.daemon for thread in threading.enumerate()):
        # Ctrl-C does not wait for a thread that is inside an engine, and one that comes back from C++ while Python is
        # taken down would abort the process.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def main(args: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code. args: without the program's name; None takes them from the process."""
    out = new_output()
    accept_any_name()
    try:
        rest = take_globals(sys.argv[1:] if args is None else args)
        if settings.json and not rest:
            raise UsageError("no command given", hint="run gseg --help to list the commands")
        # Without standalone mode Typer returns the code of typer.Exit, and 130 after Ctrl-C.
        code = app(rest, prog_name="gseg", standalone_mode=False) or out.exit_code
    except (Exception, KeyboardInterrupt) as error:
        return _report(error, out)
    return _fail(out, "interrupted", None, INTERRUPTED) if code == INTERRUPTED else code


def _report(error: BaseException, out: Output) -> int:
    if settings.debug:
        traceback.print_exception(error)
    match error:
        case GsegError():
            return _fail(out, error.message, error.hint, error.exit_code)
        case typer.TyperException():
            message = error.format_message().replace("\n\t", " ")  # choices, one to a line
            return _fail(out, message, _usage_hint(error), error.exit_code)
        case KeyboardInterrupt() | typer.Abort():
            return _fail(out, "interrupted", None, INTERRUPTED)
        case ModuleNotFoundError() if (error.name or "").split(".")[0] in EXTRAS:
            package = (error.name or "").split(".")[0]
            message = f"gseg {settings.command} needs {package}, which is not installed"
            return _fail(out, message, _install_hint(package), 1)
        case _ if type(error).__name__ == "OutOfMemoryError":  # torch's, which is not imported for its name
            return _fail(out, str(error).partition(". ")[0], _memory_hint(on_gpu=True), 1)
        case _ if isinstance(error, MemoryError) or "DefaultCPUAllocator" in str(error):  # torch's is a RuntimeError
            return _fail(out, "not enough memory", _memory_hint(on_gpu=False), 1)
        case RuntimeError() if str(error) == "can't start new thread":  # Python has no other sign of it
            more = "raise the limit of processes (ulimit -u, that of the container), or give this one more memory"
            return _fail(out, "no more threads can be started", more, 1)
        case FileNotFoundError() if not _is_somewhere():
            message = "the current folder is not there any more"
            return _fail(out, message, "change to another folder, or to the new one of the same name: cd .", 1)
        case OSError() if error.errno in DISK_ERRORS:
            place = error.filename or ("standard output" if is_stdout_full() else "disk")  # Typer shows help by itself
            return _fail(out, f"{place}: {error.strerror}", "check the disk and its permissions", 1)
        case OSError() if error.errno == errno.ENAMETOOLONG:
            return _fail(out, f"{error.filename!s:.60}...: too long for the name of a file", "check what was given", 1)
        case _ if _came_of_ctrl_c(error):
            return _fail(out, "interrupted", None, INTERRUPTED)
        case _:
            hint = None if settings.debug else "this is a bug in gseg; run it again with --debug to see where"
            return _fail(out, f"internal error: {type(error).__name__}: {error}", hint, BUG)


def _came_of_ctrl_c(error: BaseException | None) -> bool:
    """Whether it was raised while Ctrl-C was on its way up: libraries clean up, and are not always able to."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def _is_somewhere() -> bool:
    """Whether the current folder is still there: nothing has an absolute path otherwise."""
    try:
        Path.cwd()
    except FileNotFoundError:
        return False
    return True


def _memory_hint(*, on_gpu: bool) -> str:
    options = {
        **dict.fromkeys(("gan-train", "distill"), "--batch or --microbatch"),
        **dict.fromkeys(("segment", "bench", "serve"), "--batch or --workers"),
        "student-train": "--batch",
    }
    smaller = options.get(settings.command)
    less = f"a smaller {smaller} needs less memory; " if smaller else ""
    if on_gpu:
        return f"{less}--device cpu needs none of the GPU's; nvidia-smi lists who has it"
    return f"{less}end other programs, or give this one more"


def _install_hint(package: str) -> str:
    hint = install(OWN_EXTRAS.get((settings.command, package), EXTRAS[package]))
    is_export = (settings.command, package) == ("export", "onnx")
    return f"{hint}; for a model that is exported already, pip install onnx is enough" if is_export else hint


def _usage_hint(error: typer.TyperException) -> str | None:
    context = getattr(error, "ctx", None)
    return f"see {context.command_path} --help" if context else None


def _fail(out: Output, message: str, hint: str | None, code: int) -> int:
    if not message:  # `gseg` alone: Typer has shown the help instead of a message
        return code
    out.show_error(message, hint)
    if settings.json:
        with as_far_as_heard():
            out.envelope("partial" if code == PARTIAL else "error", {}, [{"message": message, "hint": hint}])
    return code
