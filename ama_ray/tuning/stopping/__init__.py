"""What ends a trial or a search before its last item or trial."""
