//! Lines of the fault matrix, each on a world of its own.
