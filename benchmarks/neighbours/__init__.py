"""Training-time methods against the alignment tax, on one plane with averaging."""
