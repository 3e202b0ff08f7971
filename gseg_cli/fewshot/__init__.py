"""The heart of the method: a GAN's activations as pixel features, and teachers that learn parts from few label maps."""
