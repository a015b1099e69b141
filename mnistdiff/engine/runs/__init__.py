"""Run directories: layout, recording, lookup, resuming, reports."""
