"""StyleGAN2, StyleGAN3 and DCGAN in plain PyTorch: networks, checkpoints, training, sampling."""
