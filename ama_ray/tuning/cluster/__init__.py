"""Ray: the cluster, the room on its nodes, and what lies and runs there."""
