"""Pictures of the user as training images: found in a folder or a file, made square, kept in the user's cache."""
