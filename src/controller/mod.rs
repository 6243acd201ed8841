//! Owns the live sweeps: decides, stores, publishes; places runs on agents.
