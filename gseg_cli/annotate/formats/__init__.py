"""The export formats of annotation tools, one file each."""
