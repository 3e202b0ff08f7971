"""Training a GAN on a folder of photos."""
