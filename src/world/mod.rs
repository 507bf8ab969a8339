//! A world whose causes are known: seeded scenes of drawn objects, each with its label by a
//! declared causal graph.
//!
//! In: a causal graph, a seed, the number of a scene, a [`Style`]. Out: a [`Scene`], its pixels
//! ([`Scene::render`]), exact boxes ([`Scene::boxes`]), its label ([`CausalGraph::label`]), and the
//! same scene with an object taken out, moved or replaced. All are pure functions: the same scene
//! gives the same bytes, whatever was drawn before.
//!
//! A [`CausalGraph`] says which objects cause a label, which only go along with it, and which do
//! neither. A network trained on these pictures can thus be asked whether an explanation of its
//! answers finds the cause or the confounder. [`graph()`] is the built-in one, [`face_graph()`]
//! that of pictures of a single face; others come from files.

mod graph;
mod hand;
mod layout;
mod lesson;
mod object;
mod objects;
mod pen;
mod portrait;
mod render;
mod scene;
mod setting;

pub use graph::{
    AmbienceCause, Bystander, CausalGraph, Cause, Confounder, LABELS, Role, background_graph,
    face_graph, graph, hans_corpus_graph, hans_graph, named_graph, parts_graph, surroundings_graph,
};
pub use lesson::{Lesson, kind_name};
pub use object::{Ambience, Object, ObjectPart, PARTS, Place, Style, Variant};
pub use objects::CLASSES;
pub use render::{Painting, PartBox};
pub use scene::Scene;
