"""Recorded real data shipped with the program, and its mapping onto any date.

The data files, their origin and licences are described in ``data/README.md``.
Whatever comes from here is labelled "recorded" wherever it appears.
"""
