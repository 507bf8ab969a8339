//! The mean image as EmoNet's authors publish it: text, one line for each row of pixels; in a line
//! the values of red from left to right, then those of green, then those of blue, separated by
//! commas (227 lines of 681 numbers).

use super::{Array, check_array, content};
use crate::files::{read_text, write_whole};
use crate::{Error, Result};
use std::fmt::Write as _;
use std::io::Write;
use std::path::Path;

/// Channels: red, green, blue.
const CHANNELS: usize = 3;

/// The largest file that is read: a mean image of 1024x1024 pixels with 17 digits a value.
const MAX_BYTES: u64 = 64 << 20;

/// Reads a mean image as an array of shape `[3, height, width]` (red, green, blue), values as in
/// the file (0..255 for EmoNet).
///
/// # Errors
/// The file cannot be read or is empty. [`Error::Line`] where a line's count is no multiple of 3 or
/// differs from the first line's, or where something is no finite number, with the number's place
/// and its column (counted in characters from 1).
pub fn read(path: &Path) -> Result<Array> {
    let found = std::fs::metadata(path).map_err(Error::io("read", path))?;
    if !found.is_file() {
        return Err(Error::file(path, "expected a mean image, found no regular file"));
    }
    let length = found.len();
    if length > MAX_BYTES {
        let message =
            format!("{length} bytes; mean images of more than {MAX_BYTES} bytes are not read");
        return Err(Error::file(path, message));
    }
    if let Some(what) = content::impostor(&content::head(path)?) {
        return Err(Error::file(path, format!("expected a mean image as text, found {what}")));
    }
    let text = read_text(path)?;
    let mut rows: Vec<Vec<f32>> = Vec::new();
    let mut blank = None;
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim().is_empty() {
            blank = blank.or(Some(number));
            continue;
        }
        if let Some(blank) = blank {
            return Err(Error::line(path, blank, "an empty line within the mean image"));
        }
        let row = numbers(line).map_err(|message| Error::line(path, number, message))?;
        let expected = rows.first().map_or(row.len(), Vec::len);
        if row.len() != expected {
            let message = format!("expected {expected} numbers as in line 1, found {}", row.len());
            return Err(Error::line(path, number, message));
        }
        if row.len() % CHANNELS != 0 {
            let message = format!(
                "expected as many numbers for each of red, green and blue, found {}",
                row.len()
            );
            return Err(Error::line(path, number, message));
        }
        rows.push(row);
    }
    let Some(first) = rows.first() else {
        return Err(Error::file(path, "expected a mean image as text, found no numbers"));
    };
    let width = first.len() / CHANNELS;
    let channel = |channel: usize| {
        rows.iter().flat_map(move |row| &row[channel * width..(channel + 1) * width])
    };
    let values = (0..CHANNELS).flat_map(channel).copied().collect();
    Ok(Array { shape: vec![CHANNELS, rows.len(), width], values })
}

/// The numbers of a line.
fn numbers(line: &str) -> Result<Vec<f32>, String> {
    let mut column = 1;
    let mut numbers = Vec::new();
    for (place, field) in (1..).zip(line.split(',')) {
        match field.trim().parse::<f32>() {
            Ok(number) if number.is_finite() => numbers.push(number),
            _ => {
                let shown: String = field.trim().chars().take(20).collect();
                return Err(format!(
                    "column {column}: expected a finite number in place {place}, found `{shown}`"
                ));
            }
        }
        column += field.chars().count() + 1;
    }
    Ok(numbers)
}

/// Writes a mean image of shape `[3, height, width]`; [`read`] gives back the same values.
///
/// # Errors
/// `mean` has another shape or values that are not finite; the file cannot be written.
pub fn write(path: &Path, mean: &Array) -> Result<()> {
    check_array(path, "mean image", mean)?;
    let [CHANNELS, height, width] = mean.shape[..] else {
        return Err(Error::file(
            path,
            format!("expected a mean image of shape [3, height, width], found {:?}", mean.shape),
        ));
    };
    if let Some((index, value)) = super::float::first_not_finite(&mean.values) {
        return Err(Error::file(
            path,
            format!("expected finite values, found {value} at element {index}"),
        ));
    }
    if mean.values.is_empty() {
        return Err(Error::file(path, "expected a mean image, found one without pixels"));
    }
    write_whole(path, |file| {
        let mut line = String::new();
        for y in 0..height {
            line.clear();
            for channel in 0..CHANNELS {
                let start = (channel * height + y) * width;
                for value in &mean.values[start..start + width] {
                    let separator = if line.is_empty() { "" } else { "," };
                    // Writing into a String cannot fail.
                    let _ = write!(line, "{separator}{value}");
                }
            }
            line.push('\n');
            file.write_all(line.as_bytes()).map_err(Error::io("write", path))?;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(text: &str) -> Result<Array> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("img_mean.txt");
        std::fs::write(&path, text).unwrap();
        read(&path)
    }

    #[test]
    fn columns_of_red_then_green_then_blue_become_channels() {
        // Two rows of pixels, one pixel wide; then one row, two pixels wide.
        let tall = of("1,2,3\n4, 5,6e0\n").unwrap();
        assert_eq!((tall.shape, tall.values), (vec![3, 2, 1], vec![1., 4., 2., 5., 3., 6.]));
        let wide = of("1,2,3,4,5,6\r\n\r\n").unwrap();
        assert_eq!((wide.shape, wide.values), (vec![3, 1, 2], vec![1., 2., 3., 4., 5., 6.]));
    }

    #[test]
    fn faults_are_named_with_line_and_column() {
        for (text, expected) in [
            ("1,2,3\n4,x,6\n", "line 2: column 3: expected a finite number in place 2, found `x`"),
            ("1,2,3,\n", "line 1: column 7: expected a finite number in place 4, found ``"),
            ("1,nan,3\n", "line 1: column 3: expected a finite number in place 2, found `nan`"),
            ("1,2,3\n4,5,6,7,8,9\n", "line 2: expected 3 numbers as in line 1, found 6"),
            ("1,2\n", "line 1: expected as many numbers for each of red, green and blue, found 2"),
            ("1,2,3\n\n4,5,6\n", "line 2: an empty line within the mean image"),
            ("\n \n", "found no numbers"),
        ] {
            let message = of(text).unwrap_err().to_string();
            assert!(message.ends_with(expected), "{message}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(height in 1_usize..5, width in 1_usize..5, seed in any::<u32>()) {
            let value = |i: usize| f32::from_bits(0x3f80_0000 | (seed.wrapping_mul(i as u32 + 1) >> 9)) * 100.0;
            let mean = Array { shape: vec![3, height, width], values: (0..3 * height * width).map(value).collect() };
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("img_mean.txt");
            write(&path, &mean).unwrap();
            prop_assert_eq!(read(&path).unwrap(), mean);
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[0-9,.e\\-naif \\n]{0,60}") {
            if let Ok(mean) = of(&text) {
                prop_assert_eq!(mean.shape.iter().product::<usize>(), mean.values.len());
            }
        }
    }
}
