//! A disk whose power can be cut: an ext4 in an image of its own, behind a loop device.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use rustix::process::geteuid;
use tempfile::TempDir;

use crate::clients::{available, left_out, run};

/// The image has holes: it takes no more room than is written.
const IMAGE_OCTETS: u64 = 512 << 20;
/// Waits for a word and cuts the power: `EXT4_IOC_SHUTDOWN` with `EXT4_GOING_FLAGS_NOLOGFLUSH`. A process of its own,
/// because Rust has no safe way to ask for it, and one that is ready, because the instant shall be sharp.
const SWITCH: &str = r#"
import fcntl, os, struct, sys
folder = os.open(sys.argv[1], os.O_RDONLY)
print("ready", flush=True)
if sys.stdin.readline():
    fcntl.ioctl(folder, 0x8004587d, struct.pack("I", 2))
    print("cut", flush=True)
"#;

/// A file system that is mounted until it is dropped, and its image.
pub struct Disk {
    folder: TempDir,
    mounted: bool,
}

impl Disk {
    /// Makes and mounts it, and tries to cut its power. Nothing, and says so loudly, where the machine cannot do that:
    /// it takes root, a loop device and the kernel's ext4.
    ///
    /// # Errors
    /// Where anything else fails.
    pub fn new() -> io::Result<Option<Self>> {
        if !geteuid().is_root() {
            left_out("only root can mount a disk and cut its power")?;
            return Ok(None);
        }
        for program in ["mkfs.ext4", "mount", "umount", "python3"] {
            if !available(program)? {
                return Ok(None);
            }
        }
        let mut disk = Self { folder: TempDir::with_prefix("mailstack-disk-")?, mounted: false };
        fs::create_dir(disk.path())?;
        File::create(disk.image())?.set_len(IMAGE_OCTETS)?;
        done("mkfs.ext4", &["-q", &disk.image().display().to_string()])?;
        if let Err(error) = disk.mount().and_then(|()| disk.switch()?.cut()) {
            let why = error.to_string();
            let why = why.lines().next().unwrap_or_default();
            left_out(&format!("this machine cannot mount a disk and cut its power: {why}"))?;
            return Ok(None);
        }
        disk.unmount()?;
        disk.mount()?;
        Ok(Some(disk))
    }

    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("mounted")
    }

    fn image(&self) -> PathBuf {
        self.folder.path().join("image")
    }

    /// Mounts it; what ext4's own journal has is there again after a cut.
    ///
    /// # Errors
    /// With what `mount` says.
    pub fn mount(&mut self) -> io::Result<()> {
        let (image, path) = (self.image().display().to_string(), self.path().display().to_string());
        done("mount", &["-t", "ext4", "-o", "loop", &image, &path])?;
        self.mounted = true;
        Ok(())
    }

    /// Unmounts it, which needs that no process uses it.
    ///
    /// # Errors
    /// With what `umount` says.
    pub fn unmount(&mut self) -> io::Result<()> {
        done("umount", &[&self.path().display().to_string()])?;
        self.mounted = false;
        Ok(())
    }

    /// Lays a hand on the switch.
    ///
    /// # Errors
    /// Where Python does not start.
    pub fn switch(&self) -> io::Result<Switch> {
        Switch::ready(&self.path())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.mounted && self.unmount().is_err() {
            // Somebody still uses it: it goes with the last of them.
            let _ = run("umount", &["--lazy", &self.path().display().to_string()], b"");
        }
    }
}

/// A process that cuts the power at once when it is told to.
pub struct Switch {
    child: Child,
    said: BufReader<ChildStdout>,
}

impl Switch {
    fn ready(folder: &Path) -> io::Result<Self> {
        let mut child = Command::new("python3")
            .args(["-c", SWITCH])
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let said = child.stdout.take().ok_or_else(|| io::Error::other("no output of Python"))?;
        let mut switch = Self { child, said: BufReader::new(said) };
        switch.says("ready")?;
        Ok(switch)
    }

    /// Cuts the power: what is not on the disk by now will never be.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn cut(mut self) -> io::Result<()> {
        if let Some(stdin) = &mut self.child.stdin {
            stdin.write_all(b"cut\n")?;
        }
        self.says("cut")
    }

    fn says(&mut self, word: &str) -> io::Result<()> {
        let mut line = String::new();
        self.said.read_line(&mut line)?;
        if line.trim_end() == word {
            return Ok(());
        }
        let mut complaint = String::new();
        if let Some(stderr) = &mut self.child.stderr {
            stderr.read_to_string(&mut complaint)?;
        }
        Err(io::Error::other(format!("the power was not cut: {complaint}")))
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        // It has the disk open, which could not be unmounted otherwise.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a program that has nothing to say but why it failed.
fn done(program: &str, arguments: &[&str]) -> io::Result<()> {
    run(program, arguments, b"")?.well().map(drop)
}
