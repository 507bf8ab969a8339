//! Values of options: how they are read, and that one that was given replaces the configuration's.

use std::str::FromStr;

/// Parses a value by its name in configuration files.
pub(super) fn by_name<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, String> {
    let plain = serde::de::value::StrDeserializer::<serde::de::value::Error>::new(text);
    T::deserialize(plain).map_err(|error| error.to_string())
}

/// Parses a whole number from `least` to `most`; the message says both, and so should the help of
/// every option that has such a limit. `u64::MAX` is no limit.
pub(super) fn whole<T: FromStr>(
    least: u64,
    most: u64,
) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync + 'static {
    let range = match most {
        u64::MAX => format!("{least} on"),
        most => format!("{least} to {most}"),
    };
    move |text: &str| {
        let refused = || format!("should be a whole number from {range}, found {text}");
        text.parse::<u64>()
            .ok()
            .filter(|number| (least..=most).contains(number))
            .ok_or_else(refused)?;
        text.parse().map_err(|_| refused())
    }
}

/// Replaces `value` by what was given.
pub(super) fn set<T>(value: &mut T, given: Option<T>) {
    if let Some(given) = given {
        *value = given;
    }
}
