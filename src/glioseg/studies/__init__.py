"""A study: a recipe in its variations, or a search over its settings; one table and one page."""
