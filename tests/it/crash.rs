//! kill -9 right after each success answer.
