"""What trains and evaluates a population: `torch_engine` by `hanq.reference`, `fused` as compiled loops; their timings."""
