//! Every stable code of every error, warning and note of swath, in one table.
//!
//! SW1: the sweep file. SW2: use of the command line. SW3: runs. SW4: the store. SW5: the API and the network. A code
//! never changes its meaning and is never given again. `docs/errors.md` is made from this table; a test compares them.

use std::fmt;

/// Makes the enum and its texts from lines of `number Variant "title" "cause" "cure" "lines of the fault catalogue"`.
macro_rules! codes {
    ($($number:literal $name:ident $title:literal $cause:literal $cure:literal $faults:literal;)*) => {
        /// A stable code; shown as `SW1003`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code { $(#[doc = $title] $name = $number,)* }

        impl Code {
            /// Every code, ascending.
            pub const ALL: &'static [Code] = &[$(Code::$name,)*];

            /// What it says, in a few words.
            pub fn title(self) -> &'static str { match self { $(Code::$name => $title,)* } }
            /// How it comes about.
            pub fn cause(self) -> &'static str { match self { $(Code::$name => $cause,)* } }
            /// How to mend it.
            pub fn cure(self) -> &'static str { match self { $(Code::$name => $cure,)* } }
            /// The lines of the fault and bad-input catalogue it answers, separated by spaces; empty where none.
            pub fn faults(self) -> &'static str { match self { $(Code::$name => $faults,)* } }
        }
    };
}

codes! {
    1001 NoSweep "the file has no sweep" "It is empty or holds comments only." "Write at least `method` and `parameters`." "B01";
    1002 Syntax "YAML syntax error" "The text is not YAML; a tab as indentation is the commonest cause." "Mend the line that is named; indent with spaces." "B02";
    1003 UnknownKey "unknown key" "The key is not one of those allowed here; usually it is mistyped." "Take the key that the message proposes, or delete it." "B06";
    1004 TooLarge "larger than allowed" "The file is above 1 MiB, 100,000 nodes (aliases expanded) or 64 levels." "Split the sweep, or name large data by a path instead of writing it into the file." "B03 B04";
    1005 DuplicateKey "a key is there twice" "YAML would silently take the last one." "Delete or rename one of the two." "B05";
    1006 NotText "not UTF-8 text" "The file is in another encoding, or holds a NUL byte." "Save it as UTF-8; a byte order mark is fine." "B07";
    1007 NotAFile "not a regular file" "A folder, a pipe or a device was named, or the file cannot be read." "Name a regular file that you can read." "B56";
    1008 SeveralDocuments "more than one YAML document" "A second `---` begins another document." "One file holds one sweep: split it." "";
    1009 UnknownTag "a YAML tag that is not known" "Only `!!str`, `!!int`, `!!float`, `!!bool`, `!!null`, `!!seq` and `!!map` are." "Delete the tag." "";
    1010 NotAMapping "the file is not a mapping" "At the top stands a list or a single value." "Write `key: value` lines: `method`, `parameters` .." "B01";
    1011 WrongKind "a value of the wrong kind" "A text where a number is wanted, a list where a mapping is wanted, and the like." "Write the kind of value that the message names." "B12";
    1012 MissingKey "a required key is missing" "The section is incomplete without it." "Add the key." "B21 B22";
    1013 NotAllowed "a value that is not one of those allowed" "The key takes a few fixed words only." "Take one of the words that the message lists." "B21";
    1014 OutOfRange "a number out of its range" "The number is too small, too large or beyond 64 bits." "Take a number in the range that the message names." "B12 B23";
    1015 BadDuration "not a duration" "Durations carry a unit." "Write `90s`, `1h30m`, `2d`." "B46";
    1016 OldNumber "read as octal or to base 60" "YAML 1.1 reads `010` as 8 and `1:30` as 90." "Quote it if text was meant; write the plain decimal number otherwise." "B08";
    1017 BadPath "`--set` names no place of the file" "The path leads through something that is not a mapping or list." "Name a key by its path: `--set parameters.lr.max=0.1`." "";
    1018 BadKey "a key that is not plain text" "A list or mapping stands where a key is wanted; unrendered templates (`{{ x }}`) look so." "Render the template first, or quote the text." "";
    1019 AliasLoop "an alias inside its own anchor" "The text would be endless." "Delete the alias." "B03";
    1020 BadBytes "not a size in bytes" "Sizes carry a unit." "Write `8GiB`, `500MB`." "";
    1101 NoForm "a parameter's keys make no distribution" "Keys are missing, or do not go together." "Give `value`, `values`, or `min` and `max`; other distributions need `distribution`." "";
    1102 MinAboveMax "min above max" "The bounds are the wrong way round." "Swap them." "B09";
    1103 MinIsMax "min equals max" "There is nothing between the bounds." "For a fixed value write `value:`." "B09";
    1104 NotFinite "not a finite number" "A bound is NaN, infinite, or so large that it overflows." "Give a finite number." "B11";
    1105 LogOfZero "a logarithmic scale needs min above 0" "Zero and negative numbers have no logarithm." "Raise min, or take a scale that is not logarithmic." "B09";
    1106 BadStep "q must be above 0" "Values are multiples of q." "Give a q above 0, or leave it out (1)." "B10";
    1107 BadProbabilities "probabilities that do not fit" "They do not add up to 1, one is negative, or there are more or fewer than values." "Give one probability a value; together they are 1." "B14";
    1108 NoValues "an empty list of values" "There is nothing to choose from." "List at least one value." "B13";
    1109 TooMany "too many" "At most 10,000 parameters, and 10,000 values a parameter." "Use `min` and `max` for long lists of numbers." "B13 B17";
    1110 ParameterNotMapping "a parameter that is not a mapping" "A parameter is written as a mapping of keys." "Write `lr: {value: 0.1}` or `lr: {values: [0.1, 0.2]}`." "";
    1111 NoParameters "no parameters" "A sweep searches at least one parameter." "Add `parameters` with at least one entry." "B17";
    1112 BadName "a parameter name that cannot be used" "It is empty, longer than 1 KiB or holds a control character." "Rename it." "B18";
    1113 UnknownDistribution "unknown distribution" "The name is not one of the 18." "Take the name that the message proposes." "";
    1114 TooLongForArgv "a value too long for a command line" "Linux takes 128 KiB for one argument and 2 MiB for all, and no NUL byte." "Take `${args_json_file}` in `command`, or read the file that SWATH_PARAMS names." "B25 B53";
    1115 BadCondition "a condition that cannot work" "`when` names an unknown or continuous parameter, a value that never occurs, or depends on itself." "Name another discrete parameter and values that it can take." "B20";
    1116 OutsideSpace "an enqueued assignment outside the space" "Each must be a point of the space." "Mend the value that is named." "";
    1117 StepMisses "q does not divide the range" "Values are multiples of q, so they do not reach, or leave, the bounds." "Take bounds that are multiples of q if that was not meant." "B10";
    1118 RepeatedValues "values that are there twice" "A grid gives each once; `1` and `1.0` are the same." "Delete the repeated ones." "B13";
    1119 OddName "a name outside W&B's pattern" "W&B's schema wants letters, digits, `_`, `.` and `-`; such files run all the same." "Nothing needs to be done if the script takes the name." "B18";
    1120 LookAlikes "names that look alike" "Two names differ in case alone, or in letters of another script." "Rename one of them." "B18 B19";
    1201 BadMethod "no method, or an unknown one" "`method` says who proposes." "Take `random`, `grid`, `bayes`, `tpe`, `cmaes` or `sobol`." "";
    1202 GridContinuous "a grid over a continuous parameter" "A grid needs a countable set of values without probabilities." "Give `values`, or `distribution: q_uniform` with a step `q`." "B16";
    1203 NothingToSearch "nothing to search" "All parameters are constants." "Give at least one parameter a range or several values." "";
    1204 NeedsMetric "a metric is needed" "The method, or the stopping rule, learns from a metric." "Add `metric: {name: .., goal: minimize}`." "B21";
    1205 BadBands "a stopping rule that would never look" "The numbers give no band at which a run is judged." "Take a smaller `min_iter`, or a larger `max_iter` or `s`." "B22";
    1206 MetricTwice "more than one of metric, metrics, objectives" "They say the same thing." "Keep one." "B21";
    1207 RangeExcludesZero "a range that excludes 0" "0 switches it off, and the range leaves that out." "Start at 0 if switching it off is worth a try." "";
    1208 HugeGrid "a huge grid without a limit" "It would not end in a lifetime." "Set `run_cap` or `budget`." "B15";
    1209 NoEffect "a key without effect" "It is accepted since files have it; nothing follows from it here." "Nothing needs to be done." "";
    1210 Exponents "log_uniform takes exponents" "W&B's `log_uniform` and its kin take exponents of e; values are usually meant." "Take `log_uniform_values`." "";
    1211 UnknownMacro "a macro that vanishes" "An element `${..}` of `command` that is no macro becomes nothing, as on W&B." "Take a known macro, or delete the element." "B24";
    1212 MacroInside "a macro inside a longer word" "Only a whole element is a macro; inside a word the text stays as it is." "Make it an element of its own; `${envvar:NAME}` works anywhere." "B24";
    1213 SeveralWords "several words in one element" "No shell splits it: the program gets one argument." "Write one element a word." "";
    1214 NoProgram "no program" "The command needs it." "Add `program:`, or give the command after `--` when the sweep is started." "";
    1215 Scheduler "W&B's scheduler section" "swath is its own scheduler." "Nothing needs to be done." "";
    1216 SchedulerCode "a scheduler that needs W&B" "Python of the user, or a W&B job, decides there." "Delete the section and name a `method`." "";
    1217 MetricsRead "metrics is read as objectives" "W&B's newer key means the same." "Nothing needs to be done." "";
    1218 IgnoredKey "an unknown key, ignored" "It resembles no known key; W&B ignores it too. It is kept with the definition." "Delete it if it is not yours." "B06";
    1219 BadCommand "a command that is not a list" "W&B would silently take the default command." "Write a list: `command: [python, \"${program}\", \"${args}\"]`." "B24";
    1220 BadEnvName "an environment variable that cannot be" "Its name is empty or holds `=`, its name or value holds NUL, or two names differ in case alone." "Rename it." "B19 B26";
    1221 BadSweepName "a sweep name that cannot be shown" "1 to 200 characters, no control characters." "Take another name." "B29";
    1223 NotYet "not in this release" "The file is right, but a later release carries it out." "Take the way round that the message names." "";
    2001 BadOption "wrong use" "An option or argument is not understood, is missing, or does not go with another." "The message says what is allowed; `--help` of the command says the rest." "";
    2002 BadSetting "a setting that cannot be used" "A variable or the configuration file has a value that does not fit." "Mend it where the message says it comes from; `swath config show` lists every setting with its source." "B51";
    2003 Failed "an operation of the system failed" "A file or a stream could not be read or written." "The message names it and the reason." "";
    2005 AlreadyRunning "the sweep is at work in another swath run" "One `swath run` works for a sweep at a time." "`swath watch ID` shows it; `--new` starts another sweep of the same file." "";
    2006 BadPatch "a change that a sweep does not take" "The key is not one of those that may change while a sweep runs, or its value is wrong." "Change `parallel`, `run_cap`, `budget.*`, `retries`, `timeout`, `tags`, `notes` or `priority`; else start a new sweep." "";
    2007 NoGpu "GPUs that cannot be used" "`--gpus` names one that is not there, or NVIDIA's driver does not answer." "`nvidia-smi` shows which there are; `--gpus none` goes on without." "";
    3101 FailedAlike "the first 3 runs failed in the same way" "The command itself, or its environment, is broken." "Mend it, then `swath run --resume ID`; `--keep-going` never pauses for this." "";
    3102 PausedItself "the sweep paused itself" "Runs could not be started five times in a row, or a rule of the sweep failed; the reason stands in the message." "Mend it, then `swath run --resume ID`." "F06 F27 F67";
    4001 Held "the store is held by another process" "One process at a time writes it, and the one that the message names does not answer." "End it, or take another store: `--data-dir DIR`." "F08";
    4002 BadDataDir "the data directory cannot be used" "It is no directory, holds something else, is another user's, or lies on a network file system." "Name an empty or a new directory on a local disk: `--data-dir DIR`." "B50 F40";
    4003 StoreDamaged "the store is damaged" "Stored bytes were changed, or entries that had been acknowledged are gone." "Restore the last backup: `swath restore BACKUP --data-dir NEW`; or go on without what is gone: `swath run --accept-loss`." "F38 F39";
    4004 SweepDamaged "a sweep is damaged" "Its log does not read back as it was written. Other sweeps are not touched." "`swath audit verify` names the place; a backup holds the sweep as it was." "F39";
    4005 NotServed "the local store cannot be served" "The controller of this process could not start or listen, or has ended." "The message names the reason; mend it and start again. Nothing that was acknowledged is lost." "";
    4006 StoreLost "the store was lost while in use" "Another process took it over, or it could not be written any more; so this process ended at once." "Look at the disk, then start again: nothing that was acknowledged is lost." "F36";
    4007 NoStore "no store or backup at this place" "The file does not exist." "Name the file, or the store's directory with `--data-dir`." "";
    4008 ChainBroken "the chain of events is broken" "An event is not the one that was written, or one is missing." "Restore the last backup: `swath restore BACKUP --data-dir NEW`." "F39";
    4009 DiskFull "the disk is full" "What was asked would have to be written. Reading, stopping and deleting still work, and runs go on." "Make room: work goes on by itself. What runs report meanwhile is kept beside them." "F35";
    4010 CannotOpen "the store cannot be opened" "It was written by a newer swath, is no store, is readable by others, or the system refused." "The message names the file and what to do." "F11 S24";
    4011 NoBackup "the backup was not written" "The file exists already, or cannot be written." "Name a file that does not exist, in a folder that you may write to." "F41";
    4012 BadHistory "a history of `swath optimize` that cannot be used" "Another process writes it, it is no regular file, or a line does not fit the sweep file." "End the other process, mend the line that the message names, or name another file." "";
    4013 ProposalsDiffer "proposals that come out otherwise" "Made again from the same entries, a method gives another point or another reason: another version of it made them, or the entries were changed together with their hashes." "The version that made a sweep's proposals is in its first event: `swath sweep export SWEEP --what events`." "";
    5001 NoAnswer "the controller does not answer" "It is not running, is too busy for the deadline, or was lost. Nothing is known to have changed." "Try again; `swath doctor` looks at the machine, `--timeout` gives it longer." "";
    5002 BadMessage "a message that is not understood" "The other side speaks another version, or failed without saying why." "Use the same version on both sides." "B39";
    5003 RefusedNow "refused in this state" "The sweep or trial is not in a state that allows it." "The message says which state it is in." "B37";
    5004 NotFound "no such sweep, trial or run" "The id or name is unknown here." "`swath sweep list --all` and `swath trial list SWEEP` show what there is." "B31";
    5005 Ambiguous "more than one sweep is meant" "Several bear the name, begin with the prefix, or are unfinished." "Give the id of one of those that the message lists." "";
    5006 ShuttingDown "the controller is shutting down" "The process that held the store is ending." "Try again: whoever holds the store next answers." "F08";
    5007 ChangedMeanwhile "somebody else changed it first" "It is no longer the version that the change was made for." "Look at it again, then change it." "";
    5008 RequestIdUsed "a request id that was used for another request" "A repeated request gets the first answer, so an id stands for one request only." "Take a fresh id, or repeat the request as it was." "B30";
    5009 BadField "a field of the request is wrong" "Its value cannot be right for this sweep." "The message names the field and what is allowed." "";
    5010 OverLimit "a limit is reached" "The controller takes no more of it." "The message names the limit." "B35";
    5011 Superseded "the run is not the current one" "Its trial has a newer run, or it has ended; what it says changes nothing." "Nothing needs to be done: the newer run counts." "B37";
    5012 NoProposal "the method cannot do that" "The sweep's method takes no such assignment, or its grid cannot be walked." "The message says why; `random` takes every point of the space." "";
    5013 NoLesson "an earlier sweep that teaches nothing" "`from` names a sweep that shares no objective or no parameter with this one, or of which nothing was measured." "Take it out of `from`." "";
    5900 Internal "a fault of swath itself" "Something happened that its code rules out. The store holds what it held." "Run it again with `-vv`, and report what it prints." "F06";
}

impl Code {
    /// Its number.
    pub fn number(self) -> u16 {
        self as u16
    }

    /// The code written as `SW1003` or `1003`, in any case.
    pub fn named(text: &str) -> Option<Code> {
        let digits = match text.get(..2) {
            Some(prefix) if prefix.eq_ignore_ascii_case("sw") => &text[2..],
            _ => text,
        };
        let number: u16 = digits.parse().ok()?;
        Code::ALL.iter().copied().find(|code| code.number() == number)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SW{:04}", self.number())
    }
}

/// The text of `docs/errors.md`.
pub fn errors_page() -> String {
    let mut page = String::from(
        "# Error codes\n\nEvery error, warning and note has a stable code. `swath help SW1003` prints one entry. \
         This page is made from `src/spec/code.rs`; a test fails where they differ.\n",
    );
    let kinds = ["The sweep file", "Use of the command line", "Runs", "The store", "The API and the network"];
    for (kind, title) in kinds.iter().enumerate() {
        let of_kind: Vec<Code> =
            Code::ALL.iter().copied().filter(|code| usize::from(code.number() / 1000) == kind + 1).collect();
        if of_kind.is_empty() {
            continue;
        }
        page.push_str(&format!(
            "\n## SW{}: {title}\n\n| code | what | why | how to mend it | faults |\n|---|---|---|---|---|\n",
            kind + 1
        ));
        for code in of_kind {
            let (what, why, cure) = (code.title(), code.cause(), code.cure());
            page.push_str(&format!("| {code} | {what} | {why} | {cure} | {} |\n", code.faults()));
        }
    }
    page
}
