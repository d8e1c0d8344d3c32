//! The client resets the connection in the middle of a bind.
