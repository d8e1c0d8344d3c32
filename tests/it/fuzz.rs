//! Every field of every route with every wrong type: never a 5xx, never a hang.
