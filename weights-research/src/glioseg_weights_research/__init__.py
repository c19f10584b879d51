"""Networks on research terms: a folder each, with its bundle and LICENSE.md."""
