"""What labelling programs are given, one file per program. What they give back is read by `annotate/formats/`."""
