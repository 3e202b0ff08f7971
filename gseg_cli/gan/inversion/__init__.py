"""From a photo to the latents that draw it."""
