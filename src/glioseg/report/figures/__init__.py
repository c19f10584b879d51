"""Figures: plain data in, a matplotlib figure or its bytes out. No pyplot, no global state."""
