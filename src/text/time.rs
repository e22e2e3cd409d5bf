//! Lengths and points of time.

use std::fmt::Write as _;
use std::time::Duration;

/// In the two largest units that say something: `350µs`, `3ms`, `1.2s`, `4m05s`, `2h04m`, `3d04h`.
pub(crate) fn short(time: Duration) -> String {
    let (seconds, micros) = (time.as_secs(), time.as_micros());
    match micros {
        0 => "0ms".to_owned(),
        1..1_000 => format!("{micros}µs"),
        1_000..1_000_000 => format!("{}ms", time.as_millis()),
        // More would be rounded to a minute.
        1_000_000..59_950_000 => format!("{:.1}s", time.as_secs_f64()),
        _ if seconds < 60 => "59.9s".to_owned(),
        _ if seconds < 3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ if seconds < 86_400 => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// The same of microseconds.
pub(crate) fn short_micros(micros: i64) -> String {
    short(Duration::from_micros(micros.max(0).unsigned_abs()))
}

/// Nothing left out, as a manifest would say it: `1h30m`, `2s500ms`; no more than milliseconds.
pub(crate) fn exact(time: Duration) -> String {
    const UNITS: [(&str, u128); 5] = [
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1000),
        ("ms", 1),
    ];
    let mut rest = time.as_millis();
    let mut words = String::new();
    for (unit, size) in UNITS {
        if rest >= size {
            let _ = write!(words, "{}{unit}", rest / size);
            rest %= size;
        }
    }
    if words.is_empty() {
        words.push_str("0s");
    }
    words
}

/// As on a clock that began with it: `0:07`, `12:05`, `1:02:03`.
pub(crate) fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes}:{seconds:02}")
    }
}

/// `2026-11-23 10:45:53 UTC`, of milliseconds since 1970.
pub(crate) fn point(millis: i64) -> String {
    jiff::Timestamp::from_millisecond(millis).map_or_else(
        |_| "unknown".to_owned(),
        |time| time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_units_say_enough() {
        for (micros, words) in [
            (0, "0ms"),
            (350, "350µs"),
            (1500, "1ms"),
            (999_999, "999ms"),
            (1_500_000, "1.5s"),
            (59_999_999, "59.9s"),
            (61_000_000, "1m01s"),
            (3_660_000_000, "1h01m"),
            (90_000_000_000, "1d01h"),
        ] {
            assert_eq!(short(Duration::from_micros(micros)), words);
        }
    }

    #[test]
    fn nothing_is_left_out() {
        for (millis, words) in [
            (0, "0s"),
            (500, "500ms"),
            (2500, "2s500ms"),
            (90_000, "1m30s"),
            (600_000, "10m"),
            (5_400_000, "1h30m"),
            (172_800_000, "2d"),
        ] {
            assert_eq!(exact(Duration::from_millis(millis)), words);
        }
    }

    #[test]
    fn clocks_and_dates() {
        for (seconds, text) in [(7, "0:07"), (725, "12:05"), (3723, "1:02:03")] {
            assert_eq!(clock(Duration::from_secs(seconds)), text);
        }
        assert_eq!(point(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(point(i64::MAX), "unknown");
    }
}
