"""What trials say together: comparisons, convergence, importance. Imports no torch, ray or vllm."""
