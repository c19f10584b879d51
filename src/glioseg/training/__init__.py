"""Training: losses, augmentation, random draws, and the loop that uses them."""
