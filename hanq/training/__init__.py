"""`train`, the `Run` that it returns, and what is made of its curves: scores with intervals, and figures."""
