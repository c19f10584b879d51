"""Networks: modules from options, in 2-D and 3-D from one definition."""
