"""The images: fetched and verified, and the order in which training shows them."""
