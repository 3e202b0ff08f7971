"""Which seeds of toy faces are whose: every split has its own range, so that none leaks into another."""

GAN_SEEDS = range(0, 30_000)  # photos the shipped GAN is trained on; their labels are not used
TEST_SEEDS = range(1_000_000, 1_000_200)  # what every mean IoU on toy faces is measured on
SUPERVISED_SEED = 2_000_000  # labels of the supervised baselines; draw d starts 10,000 further
REFERENCE_SEEDS = range(3_000_000, 3_006_000)  # the reference annotator's labels
