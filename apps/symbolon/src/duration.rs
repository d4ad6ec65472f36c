//! Lengths of time as people write them.

/// `90s`, `30m`, `24h` or `7d`, in seconds; at least one second, at most ten years.
pub(crate) fn seconds(text: &str) -> Result<u64, String> {
    let wrong = || "write a length of time such as 30m, 24h or 7d".to_owned();
    let (number, unit) = text.split_at(text.len() - text.chars().next_back().map_or(0, char::len_utf8));
    let unit: u64 = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 24 * 3600,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let limit = 3653 * 24 * 3600;
    number
        .checked_mul(unit)
        .filter(|s| (1..=limit).contains(s))
        .ok_or_else(|| "use 1 second to 10 years".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_read_as_people_write_them() {
        assert_eq!(
            [seconds("90s"), seconds("30m"), seconds("24h"), seconds("7d")],
            [Ok(90), Ok(1800), Ok(86400), Ok(604_800)]
        );
        for wrong in ["", "24", "h", "-1h", "1.5h", "0s", "4000d", "999999999999999999d", "1é"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
