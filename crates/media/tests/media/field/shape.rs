//! The shape of what is seen: ladders, packages, sizes that change, small and odd ones.
