"""Offline datasets and environments, with the random numbers, files and argument checks that everything else uses."""
