//! Files and folders of the data directory: made for their owner only (quality.md S-03), and made whole or not at
//! all.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::path::Path;

use crate::error::{Error, Result};

/// Makes the data directory, for its owner only. One that exists is left as it is.
pub(crate) fn make_dir(path: &Path) -> Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(Error::file(path))?;
    if let Some(mode) = open_to_others(path)? {
        tracing::warn!(path = %path.display(), mode = format!("{mode:04o}"), "the data directory is open to others than its owner");
    }
    Ok(())
}

/// Options that make files for their owner only.
pub(crate) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// The mode, when others than the owner may use a file or folder.
#[cfg(unix)]
pub(crate) fn open_to_others(path: &Path) -> Result<Option<u32>> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(path).map_err(Error::file(path))?.permissions().mode() & 0o7777;
    Ok((mode & 0o077 != 0).then_some(mode))
}

/// The mode, when others than the owner may use a file or folder; not looked at on this system.
#[cfg(not(unix))]
pub(crate) fn open_to_others(_path: &Path) -> Result<Option<u32>> {
    Ok(None)
}

/// Takes a file from everybody but its owner.
pub(crate) fn close_to_others(path: &Path) -> Result<()> {
    #[cfg(unix)]
    if let Some(mode) = open_to_others(path)? {
        use std::os::unix::fs::PermissionsExt as _;
        tracing::warn!(path = %path.display(), mode = format!("{mode:04o}"), "the file was open to others than its owner; mended");
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(Error::file(path))?;
    }
    Ok(())
}

/// Gives a file the owner of another one: who runs a command as root over the data of a service makes files for the service.
pub(crate) fn owned_as(path: &Path, like: &Path) -> Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt as _, chown};
        let owner = |path: &Path| std::fs::metadata(path).map_err(Error::file(path));
        let (ours, theirs) = (owner(path)?, owner(like)?);
        if ours.uid() != theirs.uid() {
            chown(path, Some(theirs.uid()), Some(theirs.gid())).map_err(Error::file(path))?;
        }
    }
    Ok(())
}

/// Writes a file that does not exist yet, under the lock of the data directory; it appears whole or not at all.
pub(crate) fn write_new(path: &Path, content: &[u8]) -> Result<()> {
    let unfinished = path.with_extension("new");
    let write = || {
        let mut file = private().create(true).truncate(true).open(&unfinished)?;
        file.write_all(content)?;
        file.sync_all()?;
        std::fs::rename(&unfinished, path)
    };
    write().map_err(Error::file(path))?;
    sync_folder(path)
}

/// Makes the names in a file's folder durable.
pub(crate) fn sync_folder(path: &Path) -> Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|f| f.sync_all()).map_err(Error::file(folder))
}

/// Waits for the lock of one file and holds it as long as the value lives.
pub(crate) fn lock(path: &Path) -> Result<File> {
    let file = private().create(true).truncate(false).open(path).map_err(Error::file(path))?;
    file.lock().map_err(Error::file(path))?;
    Ok(file)
}

/// The first bytes of a file, at most 100.
pub(crate) fn head(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(100).read_to_end(&mut bytes)).map_err(Error::file(path))?;
    Ok(bytes)
}
