"""What runs inside of the workers of vLLM."""
