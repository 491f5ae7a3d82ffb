"""The recipes (YAML) that ship with audiobert."""
