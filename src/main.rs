//! Parse, dispatch, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    // A runner is started for every trial: it goes its way before anything is parsed.
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|command| command == "exec") {
        return swath::runner::exec::main(arguments);
    }
    swath::cli::main()
}
