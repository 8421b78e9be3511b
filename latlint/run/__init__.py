"""How a run is carried out: what is done with one file, by whom, and what was said of it before."""
