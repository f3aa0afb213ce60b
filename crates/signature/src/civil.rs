//! A time in ISO 8601 as Unix seconds: strict, small, and without a calendar library for a receiver to depend on.

/// The Unix seconds of `YYYY-MM-DDTHH:MM:SS`, perhaps a fraction, which is cut off, and `Z`; nothing for anything else.
///
/// # Source
/// ISO 8601 extended format as RFC 3339 profiles it. Days are counted from 1 March, so that the leap day is a year's last.
pub(crate) fn unix_seconds(text: &str) -> Option<i64> {
    let (whole, fraction) = text.strip_suffix('Z')?.split_at_checked(19)?;
    let is_fraction = |text: &str| text.strip_prefix('.').is_some_and(|digits| !digits.is_empty() && is_digits(digits));
    if !fraction.is_empty() && !is_fraction(fraction) {
        return None;
    }
    let marks: Vec<char> = whole.chars().filter(|char| !char.is_ascii_digit()).collect();
    if marks != ['-', '-', 'T', ':', ':'] {
        return None;
    }
    let number = |from: usize, to: usize| whole.get(from..to).filter(|digits| is_digits(digits))?.parse::<i64>().ok();
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    // A leap second is read as the second after it.
    if !(1..=12).contains(&month)
        || !(1..=days_of(year, month)).contains(&day)
        || hour > 23
        || minute > 59
        || second > 60
    {
        return None;
    }
    Some(((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second)
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

fn days_of(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01.
fn days(year: i64, month: i64, day: i64) -> i64 {
    // March is the first month of such a year.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let before_year = year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let before_month = (153 * month + 2) / 5;
    // 719,468 such days lie between 0000-03-01 and 1970-01-01.
    before_year + before_month + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_what_other_software_says() {
        // date --utc --date TEXT +%s
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1969-12-31T23:59:59Z", -1),
            ("2000-02-29T12:00:00Z", 951_825_600),
            ("2025-06-15T15:06:40.123Z", 1_750_000_000),
            ("2100-03-01T00:00:00Z", 4_107_542_400),
            ("9999-12-31T23:59:59.999999999Z", 253_402_300_799),
        ] {
            assert_eq!(unix_seconds(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            "",
            "Z",
            "2025-06-15T15:06:40",
            "2025-06-15T15:06:40.Z",
            "2025-06-15T15:06:40,5Z",
            "2025-06-15t15:06:40Z",
            "2025-02-29T00:00:00Z",
            "2100-02-29T00:00:00Z",
            "2025-13-01T00:00:00Z",
            "2025-00-01T00:00:00Z",
            "2025-06-00T00:00:00Z",
            "2025-06-31T00:00:00Z",
            "2025-06-15T24:00:00Z",
            "2025-06-15T15:60:40Z",
            "2025-06-15T15:06:61Z",
            "+025-06-15T15:06:40Z",
            "2025-06-15T15:06:4\u{e9}Z",
            "20-25-06-15T15:06:4Z",
        ] {
            assert_eq!(unix_seconds(text), None, "{text:?}");
        }
    }

    #[test]
    fn every_day_of_four_centuries_is_one_later_than_the_day_before() {
        let mut last = days(1969, 12, 31);
        for year in 1970..2370 {
            for month in 1..=12 {
                for day in 1..=days_of(year, month) {
                    assert_eq!(days(year, month, day), last + 1);
                    last += 1;
                }
            }
        }
    }
}
