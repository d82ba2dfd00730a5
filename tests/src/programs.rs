//! The project's own programs: built once, found beside the test that runs.

use std::env;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The path of one of the project's programs, which is up to date.
///
/// # Errors
/// Where it cannot be built.
pub fn program(name: &str) -> io::Result<PathBuf> {
    static FOLDER: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| built().map_err(|error| error.to_string()));
    folder.clone().map(|folder| folder.join(name)).map_err(io::Error::other)
}

/// Lets cargo bring the programs up to date (it waits for its own lock) and gives the folder they are in.
///
/// `cargo test` builds the programs of a package for that package's tests only.
fn built() -> io::Result<PathBuf> {
    let test = env::current_exe()?;
    let profile = test.parent().and_then(Path::parent).ok_or_else(|| unexpected(&test))?;
    let target = profile.parent().ok_or_else(|| unexpected(&test))?;
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--workspace", "--bins", "--target-dir"]).arg(target);
    if profile.ends_with("release") {
        command.arg("--release");
    }
    // What `cargo test` says about this package would make build scripts run again that look at it (ring's does).
    let about_this = |name: &OsString| {
        let name = name.to_string_lossy();
        name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") || name == "LD_LIBRARY_PATH"
    };
    for (name, _) in env::vars_os().filter(|(name, _)| about_this(name)) {
        command.env_remove(name);
    }
    let output = command.current_dir(repository()).output()?;
    if output.status.success() {
        Ok(profile.to_owned())
    } else {
        Err(io::Error::other(format!("building failed:\n{}", String::from_utf8_lossy(&output.stderr))))
    }
}

fn unexpected(test: &Path) -> io::Error {
    io::Error::other(format!("{} is not in a target folder of cargo", test.display()))
}

/// The root of the repository.
#[must_use]
pub fn repository() -> &'static Path {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests)
}
