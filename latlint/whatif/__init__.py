"""And if the graph were another one: edits to it, and what each would save on a target."""
