"""What a failed test and the summary say."""
