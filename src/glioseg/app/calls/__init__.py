"""The calls of the application: what the page and programs ask, by subject."""
