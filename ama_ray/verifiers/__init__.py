"""Verifiers: programs that tell whether a reply is right, for rewards and probes alike."""
