//! The sandbox's admin key. Unlike the product, which shows a key once and keeps only its hash, the
//! sandbox prints the same key at every start: it is kept beside the simulated data that it opens.

use anyhow::Context as _;
use flowcore_server::AdminKey;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

const FILE: &str = "sandbox-admin-key";

/// The key that was given, that of the last start, or a new one.
pub(crate) fn choose(given: Option<&str>, folder: &Path) -> anyhow::Result<(String, AdminKey)> {
    let text = match given.filter(|key| !key.is_empty()) {
        Some(given) => given.to_owned(),
        None => kept(&folder.join(FILE))?,
    };
    let key =
        AdminKey::parse(&text).map_err(|why| anyhow::anyhow!("the admin key is refused: {why}"))?;
    Ok((text, key))
}

fn kept(file: &Path) -> anyhow::Result<String> {
    match std::fs::read_to_string(file) {
        Ok(key) => return Ok(key.trim().to_owned()),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("can't read {}", file.display())),
    }
    let key = format!("{:032x}{:08x}", rand::random::<u128>(), rand::random::<u32>());
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
        .and_then(|mut file| file.write_all(key.as_bytes()))
        .with_context(|| format!("can't write {}", file.display()))?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_the_same_at_every_start() {
        let folder = tempfile::tempdir().expect("a folder");
        let (first, _) = choose(None, folder.path()).expect("a key");
        let (second, _) = choose(None, folder.path()).expect("a key");
        assert_eq!(first, second);
        assert!(choose(Some("flowcore123"), folder.path()).is_err());
    }
}
