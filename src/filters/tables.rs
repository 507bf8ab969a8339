//! `<method>/filters.csv` and `<method>/filter_weights.csv`.

use super::FilterSums;
use crate::run::table;
use crate::{Error, Result};
use std::path::Path;

impl FilterSums {
    /// Writes for every method that weighs channels `<folder>/<method>/filters.csv`, a row for each
    /// class that occurs and each channel (`images`: pictures with the class; `active_images`:
    /// those among them in which the channel has a positive weighted part, over which `share` and
    /// `area_share` are means; channels from 0), and `filter_weights.csv`, the channels' mean
    /// weights by label, with the labels as header and the number of pictures in the last row.
    /// Where there is no picture a cell is empty.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write_tables(&self, folder: &Path) -> Result<()> {
        for (method, name) in self.methods.iter().enumerate() {
            let folder = folder.join(name);
            std::fs::create_dir_all(&folder).map_err(Error::io("create", &folder))?;
            self.write_shares(method, &folder.join("filters.csv"))?;
            self.write_weights(method, &folder.join("filter_weights.csv"))?;
        }
        Ok(())
    }

    fn write_shares(&self, method: usize, path: &Path) -> Result<()> {
        table(path, |table| {
            table.row(["class", "channel", "images", "active_images", "share", "area_share"])?;
            for (class, name) in
                self.classes.iter().enumerate().filter(|(class, _)| self.class_images[*class] > 0)
            {
                for channel in 0..self.channels {
                    let cell = self.cell(method, class, channel);
                    let number = |value: Option<f64>| {
                        value.map(|value| value.to_string()).unwrap_or_default()
                    };
                    table.row([
                        name.clone(),
                        channel.to_string(),
                        self.class_images[class].to_string(),
                        cell.map_or(0, |cell| cell.active).to_string(),
                        number(cell.map(|cell| cell.share)),
                        number(cell.map(|cell| cell.area)),
                    ])?;
                }
            }
            Ok(())
        })
    }

    fn write_weights(&self, method: usize, path: &Path) -> Result<()> {
        table(path, |table| {
            table.row(["channel"].into_iter().chain(self.labels.iter().map(String::as_str)))?;
            for channel in 0..self.channels {
                let weight = |label: usize| self.mean_weight(method, label, channel);
                let cells = (0..self.labels.len())
                    .map(|label| weight(label).map(|w| w.to_string()).unwrap_or_default());
                table.row([channel.to_string()].into_iter().chain(cells))?;
            }
            table.row(
                ["images".to_string()]
                    .into_iter()
                    .chain(self.label_images.iter().map(u64::to_string)),
            )
        })
    }
}
