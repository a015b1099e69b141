"""From a checkpoint to images: drawing, editing, reading, and the pictures, films and files that show it."""
