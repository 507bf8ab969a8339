//! Tests of the trainings.
