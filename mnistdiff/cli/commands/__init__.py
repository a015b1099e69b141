"""The commands, a file each; none knows another."""
