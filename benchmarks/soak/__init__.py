"""Long searches, watched for what grows."""
