//! Sizes with units: `8GiB`, `500MB`, `1.5GiB`.

/// Why a text is not a size.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("'{text}' is not a size: write it with a unit, as 8GiB or 500MB")]
pub struct BadBytes {
    /// What was given.
    pub text: String,
}

/// Reads a size in bytes, above 0.
pub fn parse(text: &str) -> Result<u64, BadBytes> {
    bytes(text).ok_or_else(|| BadBytes { text: text.chars().take(80).collect() })
}

fn bytes(text: &str) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let number: f64 = text[..end].parse().ok()?;
    let unit: u64 = match text[end..].trim_start() {
        "B" => 1,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        "KiB" | "Ki" => 1 << 10,
        "MiB" | "Mi" => 1 << 20,
        "GiB" | "Gi" => 1 << 30,
        "TiB" | "Ti" => 1 << 40,
        _ => return None,
    };
    let size = number * unit as f64;
    (1.0..9e18).contains(&size).then_some(size as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_need_units() {
        assert_eq!(parse("8GiB").unwrap(), 8 << 30);
        assert_eq!(parse("1.5MB").unwrap(), 1_500_000);
        for bad in ["8", "GiB", "-1GiB", "0B", "1XB", "1e9GiB", "99999999999999TiB", ""] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
