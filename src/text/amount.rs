//! Numbers with what they count.

use std::fmt::Display;

use super::quoted;

/// `1 task`, `2 tasks`.
pub(crate) fn count(number: impl Display + TryInto<i64> + Copy, what: &str) -> String {
    format!("{number} {}", noun(number, what))
}

/// `1 task runs`, `2 tasks run`: with what it does, of one and of several.
pub(crate) fn doing(
    number: impl Display + TryInto<i64> + Copy,
    what: &str,
    (one, several): (&str, &str),
) -> String {
    let does = if is_one(number) { one } else { several };
    format!("{} {does}", count(number, what))
}

/// `1 234 tasks`, with narrow spaces that do not break.
pub(crate) fn grouped_count(number: i64, what: &str) -> String {
    format!("{} {}", grouped(number), noun(number, what))
}

fn noun(number: impl TryInto<i64>, what: &str) -> String {
    format!("{what}{}", if is_one(number) { "" } else { "s" })
}

fn is_one(number: impl TryInto<i64>) -> bool {
    number.try_into().is_ok_and(|number| number == 1)
}

/// `1 234 567`, with narrow spaces that do not break.
pub(crate) fn grouped(number: impl TryInto<i64>) -> String {
    let Ok(number) = number.try_into() else {
        return "very many".to_owned();
    };
    let digits = number.unsigned_abs().to_string();
    let mut out = String::from(if number < 0 { "-" } else { "" });
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

/// Bytes in the unit that gives at most three digits before the point.
#[allow(clippy::cast_precision_loss)] // Three digits are shown.
pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let digits = usize::from(value < 9.95);
    format!("{value:.digits$} {}", UNITS[unit])
}

/// Reads `50G`, `1.5T`, `300MiB`, `4096`: a number of bytes, with a unit of 1024 of the one before.
pub(crate) fn read_bytes(text: &str) -> Result<u64, String> {
    let units = ["", "K", "M", "G", "T", "P", "E"];
    let form = || format!("{} is no size: say 500M, 50G, 1.5T", quoted(text));
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.');
    let (number, unit) = text.split_at(digits.unwrap_or(text.len()));
    let unit = unit
        .strip_suffix("iB")
        .or(unit.strip_suffix('i').filter(|unit| !unit.is_empty()))
        .or(unit.strip_suffix('B'))
        .unwrap_or(unit);
    let power = units.iter().position(|one| one.eq_ignore_ascii_case(unit));
    let scale = 1024_u64.pow(u32::try_from(power.ok_or_else(form)?).unwrap_or(0));
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    let part = &part[..part.len().min(9)];
    let ten = 10_u64.pow(u32::try_from(part.len()).unwrap_or(0));
    let (Ok(whole), Ok(part)) = (whole.parse::<u64>(), part.parse::<u64>()) else {
        return Err(form());
    };
    let fraction = u128::from(part) * u128::from(scale) / u128::from(ten);
    whole
        .checked_mul(scale)
        .and_then(|bytes| bytes.checked_add(u64::try_from(fraction).ok()?))
        .ok_or_else(|| format!("{} is more than can be", quoted(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_and_several() {
        let runs = |number: i64| doing(number, "task", ("runs", "run"));
        let words: Vec<String> = [0, 1, 2].map(runs).to_vec();
        assert_eq!(words, ["0 tasks run", "1 task runs", "2 tasks run"]);
    }

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, bytes) in [
            ("4096", 4096),
            ("0", 0),
            ("1k", 1024),
            ("300MiB", 300 << 20),
            ("50G", 50 << 30),
            ("50GB", 50 << 30),
            ("50Gi", 50 << 30),
            ("1.5T", 3 << 39),
            ("0.5K", 512),
        ] {
            assert_eq!(read_bytes(text), Ok(bytes), "{text}");
        }
        for text in [
            "",
            "G",
            "-1",
            "5X",
            "1.G",
            ".5G",
            "1 G",
            "99999999E",
            "1.2.3G",
            "5GG",
            "5i",
        ] {
            assert!(read_bytes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn one_is_one_and_all_others_are_many() {
        assert_eq!(count(0, "task"), "0 tasks");
        assert_eq!(count(1_u64, "task"), "1 task");
        assert_eq!(count(1234, "task"), "1234 tasks");
        assert_eq!(grouped_count(1, "task"), "1 task");
        assert_eq!(grouped_count(1234, "task"), "1\u{202f}234 tasks");
    }

    #[test]
    fn numbers_and_units() {
        assert_eq!(grouped(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(grouped(-100), "-100");
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(u64::MAX), "16 EiB");
    }
}
