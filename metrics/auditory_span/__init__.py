"""A metric of the evaluate library; `README.md` is its card."""
