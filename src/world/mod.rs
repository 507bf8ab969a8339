//! A world whose causes are known: seeded scenes of drawn objects, each with its label by a declared causal graph.
//!
//! In: a seed, the number of a scene, a [`Style`]. Out: a [`Scene`], its pixels ([`Scene::render`]), exact boxes
//! ([`Scene::boxes`]), its label ([`Scene::label`]), and the same scene with an object taken out, moved or replaced.
//! All are pure functions: the same scene gives the same bytes, whatever was drawn before.
//!
//! [`graph()`] says which objects cause a label, which only go along with it, and which do neither. A network trained
//! on these pictures can thus be asked whether an explanation of its answers finds the cause or the confounder.

mod graph;
mod hand;
mod layout;
mod lesson;
mod object;
mod objects;
mod pen;
mod render;
mod scene;
mod setting;

pub use graph::{graph, Bystander, CausalGraph, Cause, Confounder, Role, LABELS};
pub use lesson::{kind_name, kinds, Lesson};
pub use object::{Object, Place, Style, Variant};
pub use objects::CLASSES;
pub use render::Painting;
pub use scene::Scene;
