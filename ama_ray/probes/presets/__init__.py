"""Presets: known benchmarks, worded as lm-evaluation-harness 0.4.13 words them, from the hub or from local copies.

One module per benchmark holds all that is known of it; what the harness shows a model, the preset shows it too. Local
copies may be in the form of the hub's rows (JSON lines), of the benchmark's release, or of common re-hosts. Generated
replies end at 256 tokens, the harness's limit, or at the benchmark's stop strings. Where a benchmark has two labelled
splits besides the training split, the search has the validation split and the report the test split; where it has one,
it is divided.
"""
