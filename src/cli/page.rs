//! The page `docs/command-line.md`, made of the same grammar as `--help`.

use clap::Command;

/// Columns of the page.
const WIDTH: usize = 100;

/// The text of `docs/command-line.md`.
pub fn command_line_page() -> String {
    let mut page = String::from(
        "# The command line\n\nEvery command with its help, as `swath COMMAND --help` prints it. The options that every \
         command has stand with `swath` alone. This page is made from the grammar; a test fails where they differ.\n",
    );
    let mut grammar = super::grammar();
    grammar.build();
    section("swath", &grammar, true, &mut page);
    page
}

fn section(path: &str, command: &Command, is_root: bool, page: &mut String) {
    let shown = command.clone().term_width(WIDTH).max_term_width(WIDTH);
    let mut shown = if is_root {
        shown
    } else {
        shown.mut_args(|argument| {
            let hidden = argument.is_hide_set() || argument.is_global_set();
            argument.hide(hidden)
        })
    };
    let help = shown.render_long_help().to_string();
    let lines: Vec<&str> = help.trim_end().lines().map(str::trim_end).collect();
    page.push_str(&format!("\n## `{path}`\n\n```text\n{}\n```\n", lines.join("\n")));
    for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set()) {
        section(&format!("{path} {}", inner.get_name()), inner, false, page);
    }
}
