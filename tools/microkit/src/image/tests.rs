//! Tests of the whole back end.
