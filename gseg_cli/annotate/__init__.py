"""Hand-labelled samples: reading what people drew, and keeping it with the latents it belongs to."""
