"""The networks of StyleGAN2 and DCGAN, and the operations they are made of."""
