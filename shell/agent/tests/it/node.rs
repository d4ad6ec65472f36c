//! Against the real node.
