"""GAN checkpoints that others wrote, read as data: no code of the file is ever run."""
