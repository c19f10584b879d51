"""The command line: names, help and printing. What the commands do is in runs and studies."""
