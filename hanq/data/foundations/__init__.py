"""What everything else stands on: random numbers, files and records, checks of arguments and of the installation, Numba's decorators."""
