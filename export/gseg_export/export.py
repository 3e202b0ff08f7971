"""From a source to files that are verified before they are there: an ONNX model, or an engine. Needs no torch."""

import os
from dataclasses import dataclass, replace
from pathlib import Path

from gseg_export.engine_file import RTX, Toolchain, sidecar_of, write_engine
from gseg_export.exported import Exported, Proof
from gseg_export.graph import Model, finish, read_graph
from gseg_export.parity import QUALITY_KEY, Check
from gseg_export.precision import Precision, to_fp16, to_int8
from gseg_export.source import Images, Source, from_model, run_onnx
from gseg_export.triton import check_alike, check_repository, write_repository
from gseg_export.verification_images import MIN_CALIBRATE, Pictures, clouds, enough_photos, read_photos
from gseg_export.web import check_site, write_site
from gseg_runtime.errors import GsegError, UsageError
from gseg_runtime.files import check_writable, sha256_file, write_bytes
from gseg_runtime.model_card import ModelCard


@dataclass(frozen=True, kw_only=True)
class Options:
    """How to export.

    precision: "fp32" leaves the source as it is. calibration: folder of photos, for "int8" and for nothing else.
    verify: folder of photos; without it `held_out` is taken, else photos of the calibration's folder, else pictures
    made up by `seed`. batch: the most pictures an engine, or Triton, takes at once. triton: a model repository to add
    the model to. web: a folder for a page that runs it.
    """

    precision: Precision = "fp32"
    calibration: Path | None = None
    verify: Path | None = None
    held_out: Pictures | None = None
    seed: int = 0
    batch: int = 32
    triton: Path | None = None
    web: Path | None = None
    overwrite: bool = False


def check_export(origin: Path, out: Path, options: Options, toolchain: Toolchain | None = None) -> None:
    """GsegError for what cannot succeed, before any work. origin: the file to export; the others: see `export`."""
    ending = ".engine" if toolchain else ".onnx"
    if out.suffix != ending:
        raise GsegError(f"{out}: expected a name that ends in {ending}", "gseg segment recognises models by it")
    if out.resolve() == origin.resolve():
        raise UsageError(f"{out}: is the model to export", "choose another name with -o")
    check_writable(out)
    for path in [out, sidecar_of(out)] if toolchain else [out]:
        if path.is_dir():
            raise GsegError(f"{path}: expected a file to write, but this is a folder", "choose another name with -o")
        if os.path.lexists(path) and not options.overwrite:
            raise _exists(path)
    if options.calibration:
        enough_photos(options.calibration, MIN_CALIBRATE)
    if options.verify:
        enough_photos(options.verify)
    if options.web:
        check_site(options.web, overwrite=options.overwrite)
    if options.triton:
        check_repository(options.triton, out.stem, overwrite=options.overwrite)
        if toolchain and toolchain.trt.__name__ == RTX:
            raise GsegError(
                "Triton runs TensorRT engines, not TensorRT-RTX engines", "leave out --trt, or install tensorrt"
            )


_REPLACE = "use --overwrite to replace it, or choose another name with -o"


def _exists(path: Path) -> GsegError:
    """Of a link only the link is replaced: what it points to may be the version to keep."""
    if not path.is_symlink():
        return GsegError(f"{path}: exists already", _REPLACE)
    target = path.parent / path.readlink()
    hint = f"use --overwrite to replace the link alone, or write to {target} with -o"
    return GsegError(f"{path}: exists already, a link to {target}", hint)


def export_model(origin: Path, out: Path, options: Options, toolchain: Toolchain | None = None) -> Exported:
    """`export` of a model that `gseg export` wrote before; ONNX Runtime says what is right.

    Without a conversion or a toolchain it is only added to a Triton repository, under the name of `out`, or to a page.
    """
    if toolchain is None and options.precision == "fp32":
        return _add(origin, out.stem, options)
    check_export(origin, out, options, toolchain)
    return export(from_model(origin), out, options, toolchain)


def export(source: Source, out: Path, options: Options, toolchain: Toolchain | None = None) -> Exported:
    """Write `out`, an ONNX model, if it labels as the source does.

    toolchain: build an engine instead. It comes with x.engine.json and, unless the source is that already, with the
    model it was built from: x.onnx, or x-trt.onnx in 8 bits. GsegError when source and export disagree, or the source
    cannot be exported so; nothing is then written, and what was there before is still there. `check_export` is asked
    first.
    """
    _check_page(source.card, options)
    calibration, pictures = _pictures(source.card, options)
    check = Check(source.label, source.judge, pictures)
    model = _verified_model(source, out, options, calibration, check, for_tensorrt=toolchain is not None)
    is_verified = toolchain is None or toolchain.gpu is not None
    _check_versions(out, out.stem, model, options)
    if toolchain is None:
        write_bytes(out, model.onnx)
    else:
        card = _write_engine(out, model, options, toolchain, check, is_new=model is not source.model)
        model = replace(model, card=card)
    if options.triton:
        write_repository(options.triton, out.stem, out, model, batch=options.batch)
    if options.web:
        write_site(options.web, model)
    proof = Proof(
        judge=source.judge, num_verified=len(pictures.images), verified_on=pictures.what, counted=pictures.counted
    )
    written = _exported(out, model, options)
    return replace(written, is_verified=is_verified, proof=proof if is_verified else None)


def _add(origin: Path, name: str, options: Options) -> Exported:
    if not (options.triton or options.web):
        hint = "convert it with --fp16, --int8 DIR or --trt, or add it with --triton DIR or --web DIR"
        raise UsageError(f"{origin}: already exported", hint)
    if options.web:
        check_site(options.web, overwrite=options.overwrite)
    if options.triton:
        check_repository(options.triton, name, overwrite=options.overwrite)
    model = finish(*read_graph(origin))
    _check_page(model.card, options)
    _check_versions(origin, name, model, options)
    if options.web:
        write_site(options.web, model)
    if options.triton:
        write_repository(options.triton, name, origin, model, batch=options.batch)
    return _exported(origin, model, options)


def _check_page(card: ModelCard, options: Options) -> None:
    if options.web and card.tile:
        message = f"--web: a page looks at photos as a whole, and this model at tiles of {card.tile} pixels"
        raise UsageError(message, "leave it out")


def _check_versions(path: Path, name: str, model: Model, options: Options) -> None:
    """As of `check_alike`, before anything is written: an export that fails leaves nothing behind."""
    if options.triton and not options.overwrite:
        check_alike(options.triton, name, model, is_engine=path.suffix == ".engine")


def _exported(path: Path, model: Model, options: Options) -> Exported:
    card = model.card
    return Exported(
        model=path, sha256=sha256_file(path), bytes=path.stat().st_size, input_size=card.input_size,
        classes=list(card.classes.names), precision=card.precision, outputs=list(model.outputs),
        label_agreement=card.quality.get(QUALITY_KEY), triton=options.triton, web=options.web,
    )  # fmt: skip


def _pictures(card: ModelCard, options: Options) -> tuple[Images | None, Pictures]:
    """What to calibrate on, if anything, and what to verify on."""
    used, others = read_photos(card, options.calibration, options.verify)
    held_out = None if options.verify else options.held_out
    return used, held_out or others or clouds(size=card.input_size, seed=options.seed)


def _verified_model(
    source: Source, out: Path, options: Options, calibration: Images | None, check: Check, *, for_tensorrt: bool
) -> Model:
    """The ONNX file in memory, run by ONNX Runtime on the CPU for the proof; an exported model as it is."""
    graph, card = source.graph, source.card
    if options.precision != "fp32" and card.precision != "fp32":
        message = f"{out}: expected an fp32 model to convert to {options.precision}, got {card.precision}"
        raise GsegError(message, "export it from the checkpoint")
    if for_tensorrt and card.precision == "int8":
        raise GsegError(f"{out}: int8 models for CPUs do not run on TensorRT", "use --int8 DIR --trt on the fp32 model")
    if options.precision == "fp16":
        graph, card = to_fp16(graph), replace(card, precision="fp16")
    elif calibration is not None:
        graph = to_int8(graph, calibration, for_tensorrt=for_tensorrt)
        card = replace(card, precision="int8-trt" if for_tensorrt else "int8")
    elif source.model is not None:
        return source.model
    unproven = finish(graph, card).onnx
    return finish(graph, check.passed(run_onnx(unproven, out), card, out))


def _write_engine(
    out: Path, model: Model, options: Options, toolchain: Toolchain, check: Check, *, is_new: bool
) -> ModelCard:
    """is_new: the model is not a file yet, and becomes one beside the engine."""
    beside = out.with_name(out.stem + ("-trt.onnx" if model.card.precision == "int8-trt" else ".onnx"))
    if is_new and beside.exists() and not options.overwrite and sha256_file(beside) != model.sha256:
        raise GsegError(f"{beside}: exists already, and the engine is built from another model", _REPLACE)
    card = write_engine(out, model, toolchain, check, batch=options.batch)
    if is_new:
        write_bytes(beside, model.onnx)
    return card
