//! The log on SQLite: one writer, one numbering, nothing acknowledged before it is synced.
