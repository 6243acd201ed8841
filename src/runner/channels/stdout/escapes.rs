//! What a terminal would not show: escape sequences and what a backspace took away.

/// The text of a line's last segment, blanks at both ends removed.
pub(super) fn plain(segment: &[u8]) -> String {
    let text = String::from_utf8_lossy(segment);
    let text = if text.contains('\x1b') { without_sequences(&text) } else { text.into_owned() };
    let text = if text.contains('\x08') { without_backspaces(&text) } else { text };
    text.trim().to_owned()
}

fn without_sequences(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\x1b') {
        out.push_str(&rest[..at]);
        let length = sequence(&rest.as_bytes()[at..]);
        if length == 0 {
            out.push('\x1b');
        }
        rest = &rest[at + length.max(1)..];
    }
    out.push_str(rest);
    out
}

/// The length of the sequence that `bytes` begins with (ESC first): CSI, OSC or two bytes; 0: none.
fn sequence(bytes: &[u8]) -> usize {
    match bytes.get(1) {
        Some(b'[') => {
            let parameters = bytes[2..].iter().take_while(|b| (b'0'..=b'?').contains(b)).count();
            let between = bytes[2 + parameters..].iter().take_while(|b| (b' '..=b'/').contains(b)).count();
            match bytes.get(2 + parameters + between) {
                Some(b'@'..=b'~') => 3 + parameters + between,
                _ => 0,
            }
        }
        Some(b']') => {
            let title = bytes[2..].iter().take_while(|&&b| b != 0x07 && b != 0x1b).count();
            match bytes[2 + title..] {
                [0x07, ..] => 3 + title,
                [0x1b, b'\\', ..] => 4 + title,
                _ => 2,
            }
        }
        Some(b'@'..=b'_') => 2,
        _ => 0,
    }
}

/// Of a run of backspaces the first one takes a character, the others nothing: progress bars go back over a
/// whole line by hundreds of them, and half a line must not be read as a value.
fn without_backspaces(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut erased = true;
    for c in text.chars() {
        if c != '\x08' {
            out.push(c);
            erased = false;
        } else if !erased {
            out.pop();
            erased = true;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn sequences_and_backspaces_go() {
        assert_eq!(plain(b"\x1b[32mINFO\x1b[0m loss"), "INFO loss");
        assert_eq!(plain(b"\x1b]0;title\x07a\x1b]8;;x\x1b\\b\x1bMc"), "abc");
        assert_eq!(plain(b"0.9\x08\x08\x08\x080.8"), "0.0.8");
        assert_eq!(plain(b"\x08a\x1b"), "a\x1b");
    }
}
