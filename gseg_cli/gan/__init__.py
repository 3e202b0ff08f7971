"""StyleGAN2 and DCGAN in plain PyTorch: networks, checkpoints, training, sampling."""
