"""What people look at: figures and self-contained pages. Imports no torch."""
