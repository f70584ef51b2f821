//! Where commands write: standard output and standard error as plain writers, so that tests can read both.
//!
//! Owns what happens when a reader goes away, and the progress line. Next: [`super`].

use std::io::{self, ErrorKind, IsTerminal, Write};

/// Output and errors of one command.
pub struct Streams<'a> {
    /// What was asked for.
    pub out: &'a mut dyn Write,
    /// Errors, hints and progress.
    pub err: &'a mut dyn Write,
    /// Whether `err` is a terminal, where a line may be written over.
    pub live: bool,
    /// What `out` is shown on.
    pub screen: Screen,
}

/// What output is shown on. The default is what programs read: nothing is cut, nothing is coloured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Screen {
    /// Columns of the terminal, where it is one.
    pub columns: Option<usize>,
    /// Whether additions are green and removals red.
    pub colour: bool,
}

impl Screen {
    /// What standard output is. `NO_COLOR` (no-color.org) and `TERM=dumb` want no colours.
    fn of_process() -> Self {
        let out = io::stdout();
        if !out.is_terminal() {
            return Self::default();
        }
        let size = rustix::termios::tcgetwinsize(&out).ok();
        let columns = size.map(|size| usize::from(size.ws_col)).filter(|columns| *columns > 0);
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        Self { columns, colour: set("NO_COLOR").is_none() && set("TERM").is_none_or(|term| term != "dumb") }
    }
}

/// A writer that goes on when nobody reads any more (`elbadmin list | head -1`): what the command does besides writing
/// must not stop halfway.
pub struct Unhurt<W>(W);

impl<W: Write> Write for Unhurt<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.0.write(bytes) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(bytes.len()),
            result => result,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.0.flush() {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            result => result,
        }
    }
}

/// Runs `command` on the streams of this process.
pub fn with_process<T>(command: impl FnOnce(&mut Streams<'_>) -> T) -> T {
    let mut out = Unhurt(io::stdout());
    let mut err = Unhurt(io::stderr());
    let live = io::stderr().is_terminal();
    let screen = Screen::of_process();
    command(&mut Streams { out: &mut out, err: &mut err, live, screen })
}

/// Columns that every terminal has.
const LIVE_WIDTH: usize = 79;

/// One line that changes: written over on a terminal, anew for each change otherwise.
#[derive(Debug, Default)]
pub struct Progress {
    last: String,
}

impl Progress {
    /// Shows `line` if it differs from the one before.
    ///
    /// # Errors
    /// Those of writing.
    pub fn show(&mut self, streams: &mut Streams<'_>, line: &str) -> io::Result<()> {
        if line == self.last {
            return Ok(());
        }
        if streams.live {
            // A line that wraps could not be written over.
            let line: String = line.chars().take(LIVE_WIDTH).collect();
            write!(streams.err, "\r\x1b[K{line}")?;
        } else {
            writeln!(streams.err, "{line}")?;
        }
        line.clone_into(&mut self.last);
        streams.err.flush()
    }

    /// Leaves the last line standing.
    ///
    /// # Errors
    /// Those of writing.
    pub fn end(self, streams: &mut Streams<'_>) -> io::Result<()> {
        if streams.live && !self.last.is_empty() {
            writeln!(streams.err)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_one_line_on_a_terminal_and_one_line_a_change_in_a_pipe() {
        let check = |live: bool, expected: &str| {
            let (mut out, mut err) = (Vec::new(), Vec::new());
            let mut streams = Streams { out: &mut out, err: &mut err, live, screen: Screen::default() };
            let mut progress = Progress::default();
            for line in ["a", "a", "b"] {
                progress.show(&mut streams, line).unwrap();
            }
            progress.end(&mut streams).unwrap();
            assert_eq!(String::from_utf8(err).unwrap(), expected);
        };
        check(true, "\r\x1b[Ka\r\x1b[Kb\n");
        check(false, "a\nb\n");
    }

    #[test]
    fn a_reader_that_went_away_hurts_nobody() {
        struct Gone;
        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Err(ErrorKind::BrokenPipe.into())
            }
        }
        writeln!(Unhurt(Gone), "x").unwrap();
        Unhurt(Gone).flush().unwrap();
    }
}
