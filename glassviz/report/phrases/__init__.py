"""Every sentence about results, made from their numbers and names."""
