//! Mail programs of others, run to their end.

use std::io::{self, Read, Write as _};
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};

use crate::deadline::wait_for;

/// What a program said before it ended.
#[derive(Clone, Debug)]
pub struct Said {
    /// Its standard output.
    pub output: Vec<u8>,
    /// Its standard error.
    pub complaint: String,
    /// Whether it ended well.
    pub success: bool,
}

impl Said {
    /// All of it as text.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}{}", String::from_utf8_lossy(&self.output), self.complaint)
    }

    /// What was said, where the program ended well.
    ///
    /// # Errors
    /// With the text where it did not.
    pub fn well(self) -> io::Result<Self> {
        if self.success { Ok(self) } else { Err(io::Error::other(self.text())) }
    }
}

/// True where a program is installed; says loudly that something is skipped where it is not.
///
/// # Errors
/// With `CI=true` in the environment, where nothing may be skipped.
pub fn available(program: &str) -> io::Result<bool> {
    let found = std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(program).is_file()));
    if !found {
        skipped(&format!("{program} is not installed"))?;
    }
    Ok(found)
}

/// Says that a test, or part of one, is not done.
///
/// # Errors
/// With `CI=true` in the environment, where nothing may be skipped.
pub fn skipped(reason: &str) -> io::Result<()> {
    if std::env::var_os("CI").is_some_and(|value| value == "true") {
        return Err(io::Error::other(format!("nothing may be skipped here, but {reason}")));
    }
    left_out(reason)
}

/// Says that a test is not done where the machine cannot do it, which is no failure anywhere.
///
/// # Errors
/// Where it cannot be said.
pub fn left_out(reason: &str) -> io::Result<()> {
    let test = thread::current().name().unwrap_or("a test").to_owned();
    // Past the capture of the test's output, so that it is seen although nothing fails.
    writeln!(io::stderr(), "SKIPPED: {test}: {reason}")
}

/// Runs a program to its end.
///
/// # Errors
/// Where it does not start or does not end.
pub fn run(program: &str, arguments: &[&str], input: &[u8]) -> io::Result<Said> {
    run_command(Command::new(program).args(arguments), input)
}

/// As [`run`], for a command that is set up already.
///
/// # Errors
/// Where it does not start or does not end.
pub fn run_command(command: &mut Command, input: &[u8]) -> io::Result<Said> {
    let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = spawned.map_err(|error| io::Error::new(error.kind(), format!("{command:?}: {error}")))?;
    let output = child.stdout.take().map(reader);
    let complaint = child.stderr.take().map(reader);
    let writer = child.stdin.take().map(|mut stdin| {
        let input = input.to_vec();
        // A program that has heard enough closes its end.
        thread::spawn(move || drop(stdin.write_all(&input)))
    });
    let status = wait_for(&format!("{command:?} to end"), || child.try_wait());
    let status = status.inspect_err(|_| end(&mut child))?;
    if let Some(writer) = writer {
        let _ = writer.join();
    }
    let output = joined(output);
    let complaint = String::from_utf8_lossy(&joined(complaint)).into_owned();
    Ok(Said { output, complaint, success: status.success() })
}

fn reader(mut pipe: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut octets = Vec::new();
        let _ = pipe.read_to_end(&mut octets);
        octets
    })
}

fn joined(reader: Option<JoinHandle<Vec<u8>>>) -> Vec<u8> {
    reader.and_then(|reader| reader.join().ok()).unwrap_or_default()
}

fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}
