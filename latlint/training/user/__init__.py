"""A device of one's own from few measurements: the costs of a device that is known, moved as far as the measurements ask for.

``readers`` reads what profilers write, ``matching`` finds the kernel of the plan that each profiled op is, ``transfer`` moves the
known device's costs, ``build`` makes a pack of it and holds models out to say how good it is. Needs SciPy, not LightGBM.
"""
