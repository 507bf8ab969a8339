//! What every network needs before it is one: its weights as plain numbers.

pub mod weights;
