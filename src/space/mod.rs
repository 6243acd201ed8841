//! What is searched: parameters, distributions, assignments, the grid. Pure.
