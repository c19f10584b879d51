"""A class of each picture or slice."""
