"""The whole ring in one process, on a virtual clock, from one seed: `make sim`."""
