//! ObjectPaste: what the emotion model answers when an object is pasted into a photo (paper,
//! section 3.2 and Fig. 7).
//!
//! In: a corpus, objects with transparency, positions. Out: per photo one [`PasteRecord`] with the
//! model's answer for every object, fill and spot, and, over the corpus, shares of changed labels
//! with their intervals and tests. Only the emotion model runs again; where objects are to be
//! pasted on detected boxes, the detector runs once a photo.
//!
//! An object also hides what is below it. So its place can be filled with other things ([`Fill`]):
//! the share of labels that those change is what hiding alone does.

mod compose;
mod find;
mod focus;
mod object;
mod pass;
mod photo;
mod positions;
mod record;
mod report;
mod settings;
mod tally;

pub use compose::{Footprint, Sprites, spot_footprint};
pub use find::{Search, SwitchMap, find_switch, rendered};
pub use object::PastedObject;
pub use pass::{PasteNetworks, PasteStage};
pub use positions::{Position, Positions};
pub use record::{Focus, PasteRecord, Pasted, Spot};
pub use report::write;
pub use settings::{COMMAND, Fill, ObjectInfo, PasteSettings, Places};
pub use tally::{Blocks, Cell, Sum, Tally};
