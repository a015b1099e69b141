"""The training objective, the loop, and the state it moves."""
