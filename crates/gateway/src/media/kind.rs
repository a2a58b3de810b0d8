//! What a file is, by its first bytes, and how such files are called.

/// What a file is; `None` for what has no mark of its own (texts, mostly).
pub(crate) fn sniff(bytes: &[u8]) -> Option<&'static str> {
    let begins = |mark: &[u8]| bytes.starts_with(mark);
    let at = |from: usize, mark: &[u8]| bytes.get(from..from + mark.len()) == Some(mark);
    Some(match () {
        () if begins(b"\xFF\xD8\xFF") => "image/jpeg",
        () if begins(b"\x89PNG\r\n\x1A\n") => "image/png",
        () if begins(b"GIF87a") || begins(b"GIF89a") => "image/gif",
        () if begins(b"RIFF") && at(8, b"WEBP") => "image/webp",
        () if begins(b"RIFF") && at(8, b"WAVE") => "audio/wav",
        () if begins(b"OggS") => "audio/ogg",
        () if begins(b"fLaC") => "audio/flac",
        () if begins(b"ID3") || is_mp3_frame(bytes) => "audio/mpeg",
        () if is_adts_frame(bytes) => "audio/aac",
        () if at(4, b"ftyp") => iso_media(bytes),
        () if begins(b"\x1A\x45\xDF\xA3") => "video/webm",
        () if begins(b"%PDF-") => "application/pdf",
        () if begins(b"PK\x03\x04") => "application/zip",
        () if begins(b"BM") && bytes.len() > 26 => "image/bmp",
        () => return None,
    })
}

/// Sync, no reserved version, layer III, no reserved rates.
fn is_mp3_frame(bytes: &[u8]) -> bool {
    matches!(bytes, [0xFF, second, third, ..]
        if second & 0xE6 == 0xE2 && second & 0x18 != 0x08 && third & 0xF0 != 0xF0 && third & 0x0C != 0x0C)
}

fn is_adts_frame(bytes: &[u8]) -> bool {
    matches!(bytes, [0xFF, second, ..] if second & 0xF6 == 0xF0)
}

fn iso_media(bytes: &[u8]) -> &'static str {
    match bytes.get(8..12) {
        Some(b"M4A " | b"M4B ") => "audio/mp4",
        Some(b"qt  ") => "video/quicktime",
        Some(b"3gp4" | b"3gp5" | b"3gp6") => "video/3gpp",
        Some(b"heic" | b"heix" | b"mif1") => "image/heic",
        _ => "video/mp4",
    }
}

/// Kinds by the end of a name, and back.
const EXTENSIONS: [(&str, &str); 26] = [
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("png", "image/png"),
    ("gif", "image/gif"),
    ("webp", "image/webp"),
    ("mp4", "video/mp4"),
    ("webm", "video/webm"),
    ("mov", "video/quicktime"),
    ("3gp", "video/3gpp"),
    ("mp3", "audio/mpeg"),
    ("ogg", "audio/ogg"),
    ("oga", "audio/ogg"),
    ("opus", "audio/ogg"),
    ("m4a", "audio/mp4"),
    ("aac", "audio/aac"),
    ("wav", "audio/wav"),
    ("flac", "audio/flac"),
    ("pdf", "application/pdf"),
    ("zip", "application/zip"),
    ("txt", "text/plain"),
    ("csv", "text/csv"),
    ("json", "application/json"),
    ("xml", "application/xml"),
    ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ("pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
];

/// What a file is called to be.
pub(crate) fn by_name(name: &str) -> Option<&'static str> {
    let end = name.rsplit_once('.')?.1.to_ascii_lowercase();
    EXTENSIONS.iter().find(|(ending, _)| *ending == end).map(|(_, kind)| *kind)
}

/// How files of that kind end; `bin` for one that nobody knows.
pub(crate) fn extension(mimetype: &str) -> &'static str {
    let plain = mimetype.split(';').next().unwrap_or(mimetype).trim();
    EXTENSIONS.iter().find(|(_, kind)| *kind == plain).map_or("bin", |(ending, _)| ending)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_known_by_their_first_bytes() {
        assert_eq!(sniff(b"\xFF\xD8\xFF\xE0rest"), Some("image/jpeg"));
        assert_eq!(sniff(b"RIFF\0\0\0\0WEBPVP8 "), Some("image/webp"));
        assert_eq!(sniff(b"\0\0\0\x20ftypM4A \0"), Some("audio/mp4"));
        assert_eq!(sniff(b"\xFF\xFB\x90\x00"), Some("audio/mpeg"));
        assert_eq!(sniff(b"hello"), None);
        assert_eq!(sniff(b""), None);
    }

    #[test]
    fn names_and_kinds_go_both_ways() {
        assert_eq!(by_name("Menu.PDF"), Some("application/pdf"));
        assert_eq!(by_name("menu"), None);
        assert_eq!(extension("audio/ogg; codecs=opus"), "ogg");
        assert_eq!(extension("x/y"), "bin");
    }
}
