"""Programs that measure; each prints a table and a JSON object with ratios within one run."""
