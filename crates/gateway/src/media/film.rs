//! How long a film is, as its header says. Nothing of the film itself is read.

/// Seconds of an MP4 or `QuickTime` file.
pub(super) fn seconds(film: &[u8]) -> Option<u32> {
    let movie = part(film, *b"moov")?;
    let header = part(movie, *b"mvhd")?;
    let word = |at: usize| header.get(at..at + 4).and_then(|four| four.first_chunk::<4>());
    let number = |at: usize| word(at).map(|four| u64::from(u32::from_be_bytes(*four)));
    // The second version has times of 8 bytes.
    let (scale, duration) = match header.first()? {
        0 => (number(12)?, number(16)?),
        _ => (number(20)?, (number(24)? << 32) | number(28)?),
    };
    u32::try_from(duration.div_ceil(scale.max(1))).ok().filter(|_| scale > 0)
}

/// The content of the first part of that name.
fn part(mut file: &[u8], name: [u8; 4]) -> Option<&[u8]> {
    loop {
        let head = file.first_chunk::<8>()?;
        let length = u64::from(u32::from_be_bytes(*head.first_chunk()?));
        let (length, skip) = match length {
            0 => (u64::try_from(file.len()).ok()?, 8),
            1 => (u64::from_be_bytes(*file.get(8..)?.first_chunk()?), 16),
            length => (length, 8),
        };
        let length = usize::try_from(length).ok().filter(|length| *length >= skip)?;
        if head[4..] == name {
            return file.get(skip..length.min(file.len()));
        }
        file = file.get(length..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boxed(name: [u8; 4], content: &[u8]) -> Vec<u8> {
        let length = u32::try_from(content.len() + 8).expect("short");
        [&length.to_be_bytes()[..], &name, content].concat()
    }

    #[test]
    fn the_header_of_a_film_says_how_long_it_is() {
        let mut header = vec![0; 20];
        header[12..16].copy_from_slice(&1000_u32.to_be_bytes());
        header[16..20].copy_from_slice(&2500_u32.to_be_bytes());
        let movie = boxed(*b"moov", &boxed(*b"mvhd", &header));
        let film = [boxed(*b"ftyp", b"mp42"), boxed(*b"mdat", &[0; 100]), movie].concat();
        assert_eq!(seconds(&film), Some(3));
        assert_eq!(seconds(&film[..40]), None);
        assert_eq!(seconds(b""), None);
        assert_eq!(seconds(&boxed(*b"moov", b"\0\0\0\x04mvhd")), None);
    }
}
