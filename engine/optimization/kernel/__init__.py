"""Exact dynamic programme for one store: the fast path behind `solve(instance)`.

The stored energy is the only thing that one step hands to the next, so the cost of the later
steps is a function of one number. It is piecewise linear, and the kernel carries it exactly,
as a list of slopes and widths, from the last step to the first:

    V_t(E) = min over x of  stage_t(x) + S_t(E + x - q) + V_{t+1}(E + x - q)

with x the stored energy moved, q the standby consumption and S_t what ending a step at an
energy costs (window, reserve). Where every stage is convex this is an inf-convolution, and
that is a merge of two sorted slope lists (`convex`); elsewhere the stage is a handful of
convex pieces and V the lower envelope of their merges (`envelope`). Source: optimisation
notes, section 2a; inf-convolution and its subdifferential: Rockafellar, Convex Analysis,
theorems 5.4 and 16.4.

Compiled by numba at first use and kept on disk (`compiled`). Importing this package imports
nothing; its modules import numba, which takes a second.
"""
