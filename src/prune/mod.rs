//! Groups, plans, selection, shrink, masked, verification.
