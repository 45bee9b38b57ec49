//! How is a length of time written on the command line?

/// Seconds of `90`, `90s`, `30m`, `12h` or `7d`.
pub(super) fn seconds(text: &str) -> Result<u32, String> {
    let digits = text.trim_end_matches(['s', 'm', 'h', 'd']);
    let unit = match text.strip_prefix(digits) {
        Some("" | "s") => 1,
        Some("m") => 60,
        Some("h") => 3600,
        Some("d") => 86_400,
        _ => return Err(EXPECTED.to_owned()),
    };
    let count: u32 = digits.parse().map_err(|_| EXPECTED.to_owned())?;
    count.checked_mul(unit).ok_or_else(|| "too long".to_owned())
}

const EXPECTED: &str = "write it like 90, 90s, 30m, 12h or 7d";

/// A life that a token can be asked for: one second to a day.
pub(super) fn token_life(text: &str) -> Result<u32, String> {
    match seconds(text)? {
        life @ 1..=86_400 => Ok(life),
        _ => Err("must be from 1 second to 1 day".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read() {
        let read = |text| seconds(text).unwrap();
        assert_eq!(
            [read("90"), read("90s"), read("30m"), read("2h"), read("7d")],
            [90, 90, 1800, 7200, 604_800]
        );
        for bad in ["", "m", "1.5h", "-1", "1w", "1mm", "99999d", "30 m"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_token_lives_a_day_at_most() {
        assert_eq!(token_life("24h"), Ok(86_400));
        assert!(token_life("0").is_err() && token_life("86401").is_err());
    }
}
