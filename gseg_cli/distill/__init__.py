"""Distillation: generated pairs teach a small student network, which then runs without the GAN."""
