//! Values as people write them.

use std::time::Duration;

/// A time such as `30s`, `5m` or `1h30m`, or as timeout(1) takes it in seconds; more than zero.
///
/// # Errors
/// What to write instead.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().map(Duration::from_secs);
    seconds
        .or_else(|_| humantime::parse_duration(text))
        .ok()
        .filter(|d| !d.is_zero())
        .ok_or_else(|| "write a time such as 30s, 5m or 1h30m".to_owned())
}

/// Less memory than this no command can start in, in bytes.
const LEAST: u64 = 1 << 20;

/// A size such as `64M` or `1G`, in powers of 1024, as Docker and systemd take it; or in bytes.
///
/// # Errors
/// What to write instead.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => Some(0),
        "k" | "kb" | "ki" => Some(10),
        "m" | "mb" | "mi" => Some(20),
        "g" | "gb" | "gi" => Some(30),
        _ => None,
    };
    let bytes = unit.and_then(|shift| digits.parse::<u64>().ok()?.checked_mul(1 << shift));
    match bytes {
        Some(bytes) if bytes >= LEAST => Ok(bytes),
        Some(_) => Err("it is 1M or more; write a size such as 64M or 1G".to_owned()),
        None => Err("write a size such as 64M or 1G".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_in_powers_of_1024() {
        assert_eq!(parse_size("4194304"), Ok(4 << 20));
        assert_eq!(parse_size("64M"), Ok(64 << 20));
        assert_eq!(parse_size("1Gi"), Ok(1 << 30));
        for bad in [
            "",
            "M",
            "0",
            "1",
            "1023k",
            "-1",
            "1T",
            "1.5G",
            "18446744073709551615k",
            "6 M",
        ] {
            assert!(parse_size(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn times_are_read_as_people_write_them() {
        assert_eq!(parse_duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(parse_duration("1h30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("5"), Ok(Duration::from_secs(5)));
        for bad in ["", "0s", "-1s", "5x", "x"] {
            assert!(parse_duration(bad).is_err(), "{bad:?}");
        }
    }
}
