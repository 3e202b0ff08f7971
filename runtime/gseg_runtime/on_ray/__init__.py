"""Many processes on many machines, by Ray: they get the names of photos, and do all else by themselves."""
