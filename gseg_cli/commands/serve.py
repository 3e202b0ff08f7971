"""gseg serve: masks over HTTP."""

import sys
from typing import Annotated

import typer

from gseg_cli.commands.segment import BatchOpt, InferenceDeviceOpt, WorkersOpt, load_segmenter
from gseg_cli.options import ModelOpt


def serve(
    model: ModelOpt = None,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 8000,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Name under which the server may be asked; repeat it for several.",
            show_default="this machine's on 127.0.0.1, any elsewhere",
        ),
    ] = None,
    device: InferenceDeviceOpt = "auto",
    batch: BatchOpt = None,
    workers: WorkersOpt = None,
    max_in_hand: Annotated[
        int, typer.Option("--max-requests", min=1, help="Requests at once; more are refused with status 503.")
    ] = 64,
    max_megabytes: Annotated[int, typer.Option("--max-megabytes", min=1, help="Size of a photo's file.")] = 32,
    max_pixels: Annotated[
        int, typer.Option(min=1, metavar="N", help="Pixels of a photo; larger ones are refused with status 413.")
    ] = 64_000_000,
) -> None:
    """Answer photos with masks over HTTP.

    POST a photo to /segment and get its mask as PNG, COCO or overlay. The address it prints opens a page to try it.
    Ctrl-C ends it.
    """
    from gseg_cli.output import current_output
    from gseg_runtime.serving.app import ServeConfig
    from gseg_runtime.serving.serve import names_for, serve
    from gseg_runtime.serving.server import listen

    output = current_output()
    with load_segmenter(model, device, batch) as segmenter, listen(host, port) as listener:
        output.say(f"device: {segmenter.device}" + (f" ({segmenter.why})" if segmenter.why else ""))
        shown = f"[{host}]" if ":" in host else host
        address = f"http://{shown}:{listener.getsockname()[1]}/"
        output.result({"address": address}, address)
        sys.stdout.flush()  # now, also where nobody looks on
        config = ServeConfig(
            max_in_hand=max_in_hand,
            max_megabytes=max_megabytes,
            max_pixels=max_pixels,
            workers=workers,
            names=names_for(host, listener, allow_host or ()),
        )
        serve(segmenter.loaded, listener, config)
