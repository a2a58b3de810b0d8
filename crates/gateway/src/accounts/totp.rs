//! The second factor: codes of six digits that change every thirty seconds (RFC 6238), as every
//! authenticator app makes them.

use flowcore_domain::clock::Millis;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;

/// Seconds that a code is good for; also the one before and the one after, for clocks that differ.
const STEP: i64 = 30;
/// Bytes of a secret, as many as the hash has.
pub(crate) const SECRET_LENGTH: usize = 20;

/// The step whose code this is, when it is one of now.
pub(crate) fn step_of(secret: &[u8], code: &str, now: Millis) -> Option<i64> {
    let digits = code.trim();
    if digits.len() != 6 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let current = now.seconds().div_euclid(STEP);
    let given: u32 = digits.parse().ok()?;
    // All three are computed whatever the first says.
    let matching: Vec<i64> =
        (current - 1..=current + 1).filter(|step| code_of(secret, *step) == given).collect();
    matching.first().copied()
}

fn code_of(secret: &[u8], step: i64) -> u32 {
    let mut mac = Hmac::<Sha1>::new_from_slice(secret).expect("HMAC takes keys of any length");
    mac.update(&step.to_be_bytes());
    let digest = mac.finalize().into_bytes();
    let offset = usize::from(digest[19] & 0xf);
    let word = [digest[offset], digest[offset + 1], digest[offset + 2], digest[offset + 3]];
    (u32::from_be_bytes(word) & 0x7fff_ffff) % 1_000_000
}

/// The secret as apps take it (RFC 4648's base32 without padding).
pub(crate) fn base32(secret: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut text = String::with_capacity(secret.len().div_ceil(5) * 8);
    let (mut bits, mut held) = (0_u32, 0_u32);
    for byte in secret {
        bits = (bits << 8) | u32::from(*byte);
        held += 8;
        while held >= 5 {
            held -= 5;
            text.push(char::from(ALPHABET[(bits >> held & 31) as usize]));
        }
    }
    if held > 0 {
        text.push(char::from(ALPHABET[(bits << (5 - held) & 31) as usize]));
    }
    text
}

/// Reads that form, as people type it.
pub(crate) fn from_base32(text: &str) -> Option<Vec<u8>> {
    let (mut bits, mut held, mut bytes) = (0_u32, 0_u32, Vec::new());
    for letter in text.bytes().filter(|b| !b.is_ascii_whitespace() && *b != b'=') {
        let value = match letter.to_ascii_uppercase() {
            letter @ b'A'..=b'Z' => letter - b'A',
            letter @ b'2'..=b'7' => letter - b'2' + 26,
            _ => return None,
        };
        bits = (bits << 5) | u32::from(value);
        held += 5;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held & 0xff) as u8);
        }
    }
    (bytes.len() == SECRET_LENGTH).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_the_rfc() {
        let secret = b"12345678901234567890";
        for (seconds, code) in
            [(59, "287082"), (1_111_111_109, "081804"), (20_000_000_000, "353130")]
        {
            let at = Millis(seconds * 1000);
            assert_eq!(step_of(secret, code, at), Some(seconds / 30), "{seconds}");
            assert_eq!(step_of(secret, code, Millis(at.0 + 90_000)), None);
        }
        assert_eq!(step_of(secret, "28708", Millis(59_000)), None);
        assert_eq!(step_of(secret, "+87082", Millis(59_000)), None);
        assert_eq!(base32(b"12345678901234567890"), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        assert_eq!(base32(b"f"), "MY");
        let secret = b"12345678901234567890";
        assert_eq!(from_base32(&base32(secret)).as_deref(), Some(&secret[..]));
        assert_eq!(from_base32("MY"), None);
        assert_eq!(from_base32("1"), None);
    }
}
