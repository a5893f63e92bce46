"""Tasks of lm-evaluation-harness as probes."""
