"""Which generated samples teachers are measured on."""

# Samples that neither the annotations nor the pairs hold.
TEACHER_SEEDS = range(80_000, 80_200)
