"""Everything that trains, builds audio banks, or measures."""
