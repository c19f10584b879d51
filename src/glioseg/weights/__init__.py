"""Networks that come with glioseg: a folder each, a bundle with its card."""
