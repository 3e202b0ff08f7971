"""Networks that learned from other pictures before, as packages bring them."""
