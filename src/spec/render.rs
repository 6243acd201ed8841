//! Diagnostics as people read them: one sentence, the place, the excerpt with a mark, what to type.

use std::fmt::Write;

use unicode_width::UnicodeWidthChar;

use crate::spec::diagnostic::{Diagnostic, Place, Severity, shown};

/// All diagnostics of a file, in their order. `path` is the file as it was named.
pub fn render(diagnostics: &[Diagnostic], path: &str, color: bool) -> String {
    let mut out = String::new();
    for diagnostic in diagnostics {
        one(diagnostic, path, color, &mut out);
    }
    out
}

/// `2 errors, 1 warning in sweep.yaml`; notes are not counted; none where there is nothing to count.
pub fn summary(diagnostics: &[Diagnostic], path: &str) -> Option<String> {
    let count = |severity| diagnostics.iter().filter(|diagnostic| diagnostic.severity == severity).count();
    let counts: Vec<String> = [(count(Severity::Error), "error"), (count(Severity::Warning), "warning")]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}{}", if count == 1 { "" } else { "s" }))
        .collect();
    (!counts.is_empty()).then(|| format!("{} in {}", counts.join(", "), line(path)))
}

fn one(diagnostic: &Diagnostic, path: &str, color: bool, out: &mut String) {
    let word = match diagnostic.severity {
        Severity::Error => painted("error", "1;31", color),
        Severity::Warning => painted("warning", "1;33", color),
        Severity::Note => painted("note", "1;34", color),
    };
    let _ = writeln!(out, "{word} {}: {}", diagnostic.code, line(&diagnostic.message));
    if let Some(place) = &diagnostic.place {
        let _ = match &place.option {
            Some(option) => writeln!(out, "  --> {}:{}", line(option), place.column),
            None => writeln!(out, "  --> {}:{}:{}", line(path), place.line, place.column),
        };
        excerpt(place, '^', &diagnostic.label, color, out);
        for other in &diagnostic.others {
            excerpt(&other.place, '-', &other.text, color, out);
        }
    } else {
        let _ = writeln!(out, "  --> {}", line(path));
    }
    if let Some(help) = &diagnostic.help {
        let _ = writeln!(out, "  {} {}", painted("help:", "1", color), line(help));
    }
}

fn excerpt(place: &Place, mark: char, label: &str, color: bool, out: &mut String) {
    let number = if place.option.is_some() { String::new() } else { place.line.to_string() };
    let (before, width) =
        (columns(&place.excerpt, 0, place.offset), columns(&place.excerpt, place.offset, place.width));
    let marks = painted(&mark.to_string().repeat(width.max(1)), if mark == '^' { "31" } else { "34" }, color);
    let _ = writeln!(out, "{number:>4} | {}", line(&place.excerpt).trim_end());
    let underline = format!("     | {}{marks} {}", " ".repeat(before), line(label));
    let _ = writeln!(out, "{}", underline.trim_end());
}

/// Columns of the screen that some characters of a shown line take.
fn columns(text: &str, skip: usize, take: usize) -> usize {
    text.chars().skip(skip).take(take).flat_map(one_line).map(|c| c.width().unwrap_or(0)).sum()
}

/// A text on one line, nothing in it that moves the cursor.
fn line(text: &str) -> String {
    text.chars().flat_map(one_line).collect()
}

fn one_line(c: char) -> Vec<char> {
    if c == '\t' { vec![' '; 4] } else { shown(c) }
}

fn painted(text: &str, style: &str, color: bool) -> String {
    if color { format!("\u{1b}[{style}m{text}\u{1b}[0m") } else { text.to_owned() }
}
