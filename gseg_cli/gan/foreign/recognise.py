"""What a file is that is no StyleGAN2, and what to do about it."""

import re
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

from gseg_cli.gan.foreign.errors import damaged, shown
from gseg_runtime.errors import CheckpointError

_AGAIN = "get the file again from where it was published"
OPENED = "gseg opens StyleGAN2 as NVIDIA's .pkl, rosinality's .pt, or a state dict of either as .pt or .safetensors"
_SAVE_AGAIN = (
    "where its own code runs, and if you trust it: torch.save(g_ema.state_dict(), 'gan.pt'), and give that file"
)
_UNPACKED = "a torch file that was unpacked: a .pt is a zip archive"
_PACK_AGAIN = "get the .pt itself, or pack the folder as it was, without compression: zip -0 -r gan.pt FOLDER"
_PORT = f"only StyleGAN2 has the layers that are read; {OPENED}"

# The first bytes of a file; the first that matches counts.
_STARTS: tuple[tuple[bytes, str, str], ...] = (
    (rb"version https://git-lfs", "a pointer of git-lfs, not the file it stands for", "run `git lfs pull` where it is"),
    (
        rb"(?is)(\xef\xbb\xbf)?\s*<.*(virus scan|quota exceeded|too many users)",
        "a web page of Google Drive that was saved in place of the file",
        "download it in a browser and confirm there: the page says that it is too large to scan, or over its quota",
    ),
    (
        rb"(?is)(\xef\xbb\xbf)?\s*<(!|\?xml|[a-z]+[\s>])",
        "a web page that was saved in place of the file",
        f"the download went wrong, for instance for want of a login; {_AGAIN}",
    ),
    (rb"\x89PNG|\xff\xd8\xff|GIF8|RIFF....WEBP|BM....\0\0\0\0", "an image", OPENED),
    (
        rb"BZh|\xfd7zXZ|7z\xbc\xaf|Rar!|\x28\xb5\x2f\xfd",
        "a packed archive",
        "unpack it and use the file inside",
    ),
    (rb"(?s).{16}\xde\xc0\xef\xbe", "an LMDB, a database of images", OPENED),
    (rb"\x89HDF", "an HDF5 file, as Keras writes them", OPENED),
    (rb"\x93NUMPY", "a NumPy array", OPENED),
    (
        rb"(?s)\x08[\x03-\x20](\x12.[\x20-\x7e]|\x3a)",
        "an ONNX model",
        f"ONNX holds no layers to take features from; {OPENED}",
    ),
    (rb"\x80[\x00\x01\x06-\xff]|\(dp|\(lp|\(i|c[a-z_]+\n", "a pickle of a protocol that torch does not write", OPENED),
    (rb"[\x09\x0a\x0d\x20-\x7e]{32}|[\x09\x0a\x0d\x20-\x7e]+\Z", "a text file", OPENED),
)

# Names of tensors, searched in all of them. Of networks that have a StyleGAN2 within:
_AROUND: tuple[tuple[str, str, str], ...] = (
    (r"(^|\.)backbone\.synthesis\.b4\.", "an EG3D generator, of three dimensions", "only StyleGAN2 itself is read"),
    (r"(^|\.)iwt\.", "a SWAGAN, of wavelets", "only StyleGAN2 itself is read"),
    (
        r"(^|\.)ecd\d+\.\d",
        "a GPEN network, which restores faces with a StyleGAN2 inside",
        "only StyleGAN2 itself is read",
    ),
    (
        r"(^|\.)(stylegan_decoder(v1)?\.|conv_body_first\.)",
        "a GFPGAN network, which restores faces with a StyleGAN2 inside",
        "only StyleGAN2 itself is read",
    ),
    (
        r"(^|\.)res\.\d+\.conv2?\.",
        "a DualStyleGAN, which draws with a second path of styles around a StyleGAN2",
        "give the StyleGAN2 that it began with",
    ),
    (
        r"(^|\.)style_conv1\.bias$",
        "the generator of GFPGAN's clean version, which resamples otherwise than StyleGAN2",
        "give the file of NVIDIA or rosinality that it was converted from",
    ),
)
# And of those that have none:
_TENSORS: tuple[tuple[str, str, str], ...] = (
    (
        r"synthesis\.L\d+_\d+_\d+\.",
        "a StyleGAN3 generator without its first layer, synthesis.input",
        _AGAIN,
    ),
    (
        r"^GAN\.|(^|\.)(GE?\.(initial_conv|blocks\.\d)|SE?\.net\.\d)",
        "a checkpoint of lucidrains/stylegan2-pytorch, an architecture of its own",
        _PORT,
    ),
    (
        r"(^|\.)(g_synthesis\.|g_mapping\.|synthesis\.layer\d+\.|progression\.\d+\..*(adain|noise))",
        "a StyleGAN1 generator",
        _PORT,
    ),
    (
        r"(^|\.)(progression\.\d+\.conv\.|scaleLayers\.|toRGBLayers\.|lod$)",
        "a progressively grown GAN (ProGAN)",
        _PORT,
    ),
    (r"(^|\.)(feat|se)_\d+\.", "a FastGAN generator, which most projected GANs have", _PORT),
    (r"(^|\.)blocks\.\d+\.\d+\.(conv_sc|bn1)\.", "a BigGAN generator", _PORT),
    (r"(^|\.)layers\.\d+\.blocks\.\d+\.attn", "a StyleSwin generator, of transformers", _PORT),
    (r"(^|\.)quantize\.embedding\.", "a VQGAN, which codes images", _PORT),
    (
        r"(^|\.)(b4\.out\.weight|final_linear\.0\.weight)$",
        "a discriminator without its generator",
        "give the file that holds G_ema (g_ema)",
    ),
    (r"(^|\.)model\.diffusion_model\.|(^|\.)unet\.|down_blocks\.", "a diffusion model", "only StyleGAN2 is read"),
    (
        r"(^|\.)synthesis\.b\d+\.",
        "a generator with NVIDIA's names, but without its first layer synthesis.b4.const",
        _AGAIN,
    ),
)


# What a pickle that was made to do harm asks for. Nothing of it is ever called in gseg; it is refused because another
# program would call it.
_ATTACKS = {
    "os",
    "posix",
    "nt",
    "subprocess",
    "sys",
    "shutil",
    "socket",
    "pty",
    "ctypes",
    "importlib",
    "runpy",
    "pickle",
}
_BUILTINS = {"builtins", "__builtin__"}
_ATTACKS_OF_BUILTINS = {"eval", "exec", "compile", "open", "__import__", "execfile"}


def check_start(head: bytes) -> None:
    """CheckpointError when the first bytes of a file show that it holds no GAN."""
    for pattern, what, hint in _STARTS:
        if re.match(pattern, head):
            raise CheckpointError(f"{what}, not a GAN checkpoint", hint)


def check_folder(path: Path) -> None:
    """CheckpointError when a folder is something that people take for a checkpoint."""
    if (path / "data.mdb").exists():
        raise CheckpointError(f"{path}: an LMDB, a database of images, not a GAN checkpoint", OPENED)
    if (path / "data.pkl").is_file() and (path / "data").is_dir():
        raise CheckpointError(f"{path}: {_UNPACKED}", _PACK_AGAIN)
    if found := next((folder for folder in sorted(path.glob("*/data.pkl")) if (folder.parent / "data").is_dir()), None):
        raise CheckpointError(f"{found.parent}: {_UNPACKED}", _PACK_AGAIN)


def unpacked() -> CheckpointError:
    """For a data.pkl by itself."""
    return CheckpointError("the data.pkl of a torch file that was unpacked, without its numbers", _PACK_AGAIN)


def unknown_start() -> CheckpointError:
    return CheckpointError("neither a pickle nor a torch or safetensors file", OPENED)


def check_name(module: str, name: str) -> None:
    """CheckpointError for a name outside the list that tells what the file is, or was made for."""
    if module == "tfutil":
        raise CheckpointError("a pickle of NVIDIA's TensorFlow code of 2017, a progressively grown GAN (ProGAN)", _PORT)
    is_attack = name in _ATTACKS_OF_BUILTINS if module in _BUILTINS else module.partition(".")[0] in _ATTACKS
    if is_attack:
        raise damaged(f"its pickle asks for {shown(module)}.{shown(name)}, which no checkpoint needs")


def unknown_zip(names: list[str]) -> CheckpointError:
    """For a zip archive that torch.save did not write."""
    if any(name.endswith("/constants.pkl") for name in names):
        return CheckpointError("a TorchScript archive, which is a program and not a checkpoint", _SAVE_AGAIN)
    if any(name.endswith(".npy") for name in names):
        return CheckpointError("an archive of NumPy arrays", OPENED)
    return CheckpointError("a zip archive without a checkpoint in it", OPENED)


def unknown_archive(kind: str, names: list[str], checkpoints: list[str]) -> CheckpointError:
    """For an archive that does not hold exactly one checkpoint."""
    if checkpoints:
        some = ", ".join(shown(name) for name in checkpoints[:3])
        return CheckpointError(f"a {kind} archive of {len(checkpoints)} checkpoints", f"unpack it and give one: {some}")
    if kind == "zip":
        return unknown_zip(names)
    return CheckpointError(f"a {kind} archive without a checkpoint in it (or torch.save before version 0.1.10)", OPENED)


def check_tensors(names: Iterable[str]) -> None:
    """CheckpointError when a StyleGAN2 would be found in these, but is only a part of the generator."""
    if (error := _match(_AROUND, names)) is not None:
        raise error


def unknown_tensors(names: Iterable[str], unread: Sequence[str]) -> CheckpointError:
    """For tensors that are those of no StyleGAN2. unread: names that the pickle asks for, and that are not read."""
    if (error := _match(_TENSORS, names)) is not None:
        return error
    if (first := next(iter(names), None)) is None and unread:
        return CheckpointError(f"it holds no tensors; its pickle asks for {unread[0]}, which is not read", _SAVE_AGAIN)
    if first is None:
        return CheckpointError("it holds no tensors", OPENED)
    return CheckpointError(f"its tensors are not those of a StyleGAN2 (the first is {shown(first)})", OPENED)


def _match(table: tuple[tuple[str, str, str], ...], names: Iterable[str]) -> CheckpointError | None:
    some = list(islice(names, 10_000))
    for pattern, what, hint in table:
        if any(re.search(pattern, name) for name in some):
            return CheckpointError(f"{what}, which is not read", hint)
    return None
