"""What systems, file servers and drives leave in anybody's folder: no photo of anyone's, and no sign of an owner."""

_NAMES = frozenset(
    {
        # macOS, and what its zip files unpack to
        ".ds_store", ".localized", "icon\r", "__macosx", ".trashes", ".spotlight-v100", ".fseventsd",
        ".temporaryitems", ".documentrevisions-v100", ".apdisk", ".volumeicon.icns",
        # Windows
        "thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", "system volume information",
        # Linux
        ".directory", "lost+found",
        # file servers: thumbnails and bins of Synology and QNAP, files of netatalk
        "@eadir", "#recycle", "@recycle", ".@__thumb", ".appledouble",
    }
)  # fmt: skip
_STARTS = ("._", ".trash-", ".nfs", ".fuse_hidden")  # AppleDouble; the bin of a drive; files deleted while open


def litter_kind(name: str) -> str | None:
    """What a file or folder of this name is counted as, `._*` for instance; None for what is no litter."""
    lower = name.lower()
    if lower in _NAMES:
        return name.strip()  # the name of an icon on a Mac ends in a line end
    if not lower.startswith(_STARTS):  # as of nearly all of a million names
        return None
    return next(f"{start}*" for start in _STARTS if lower.startswith(start))
