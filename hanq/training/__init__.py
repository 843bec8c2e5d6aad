"""`train`, the `Run` it returns, and scores, intervals and figures from its curves."""
