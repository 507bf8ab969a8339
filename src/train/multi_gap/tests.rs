//! Tests of the recipes.
