"""Photos and masks that are too many for one folder: in buckets, and in blocks that any process may do."""
