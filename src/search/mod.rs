//! Who proposes: random and grid; the model-based methods have their place beside them. Pure.
