//! Voice notes in MP4, for players that know no Ogg. The Opus packets are copied, not encoded anew.
//!
//! One track with one chunk behind the index, as "Encapsulation of Opus in ISO Base Media File Format"
//! wants it: an `Opus` sample entry with its `dOps`, the encoder's delay in the edit list, and 80 ms of
//! pre-roll for who seeks.

use super::{RATE, unreadable};
use crate::error::ServiceError;
use bytes::Bytes;
use opus_pure::{OggOpusReader, OpusHead, packet};
use std::io::Cursor;

/// Clock of the whole film; the track's is [`RATE`].
const MILLISECONDS: u32 = 1000;
const TRACK: u32 = 1;
/// A decoder needs 80 ms to be right after a seek.
const PRE_ROLL: u32 = RATE / 1000 * 80;
/// No rotation, no scaling.
const MATRIX: [u32; 9] = [0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000];
/// `und`, in five bits a letter.
const NO_LANGUAGE: u16 = 0x55C4;

/// The packets of a note.
struct Track {
    head: OpusHead,
    /// Of each packet, at [`RATE`].
    durations: Vec<u32>,
    sizes: Vec<u32>,
    bytes: Vec<u8>,
}

/// MP4 of Opus in Ogg, of one or two channels.
pub(super) fn of_ogg(ogg: &Bytes) -> Result<Bytes, ServiceError> {
    let track = read(ogg)?;
    let before = file_type();
    // Where the packets begin is told by what comes before them, whose length does not depend on it.
    let length = before.len() + movie(&track, 0).len() + HEADER;
    let offset = u32::try_from(length).map_err(|_| unreadable())?;
    u32::try_from(length + track.bytes.len()).map_err(|_| unreadable())?;
    Ok([before, movie(&track, offset), atom(*b"mdat", &track.bytes)].concat().into())
}

fn read(ogg: &Bytes) -> Result<Track, ServiceError> {
    let mut reader = OggOpusReader::new(Cursor::new(ogg.clone())).map_err(|_| unreadable())?;
    let head = reader.head().clone();
    if head.mapping_family != 0 {
        return Err(unreadable());
    }
    let mut track = Track { head, durations: Vec::new(), sizes: Vec::new(), bytes: Vec::new() };
    while let Some(one) = reader.read_packet().map_err(|_| unreadable())? {
        let samples = packet::samples_48k(&one.data).map_err(|_| unreadable())?;
        track.durations.push(u32::try_from(samples).map_err(|_| unreadable())?);
        track.sizes.push(u32::try_from(one.data.len()).map_err(|_| unreadable())?);
        track.bytes.extend_from_slice(&one.data);
    }
    if track.sizes.is_empty() { Err(unreadable()) } else { Ok(track) }
}

/// Length and name before what an atom holds.
const HEADER: usize = 8;

fn atom(name: [u8; 4], content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len() + HEADER).unwrap_or(u32::MAX);
    [&length.to_be_bytes()[..], &name, content].concat()
}

/// An atom with a version, flags and big-endian words.
fn full(name: [u8; 4], flags: u32, words: &[u32]) -> Vec<u8> {
    let words = std::iter::once(&flags).chain(words);
    atom(name, &words.flat_map(|word| word.to_be_bytes()).collect::<Vec<u8>>())
}

fn within(name: [u8; 4], atoms: &[Vec<u8>]) -> Vec<u8> {
    atom(name, &atoms.concat())
}

fn file_type() -> Vec<u8> {
    atom(*b"ftyp", b"isom\0\0\x02\0isomiso2mp41")
}

fn movie(track: &Track, offset: u32) -> Vec<u8> {
    let samples = track.durations.iter().fold(0_u32, |sum, one| sum.saturating_add(*one));
    let skipped = u32::from(track.head.pre_skip);
    let heard = u64::from(samples.saturating_sub(skipped)) * u64::from(MILLISECONDS);
    let heard = u32::try_from(heard / u64::from(RATE)).unwrap_or(u32::MAX);
    // Created, changed, clock, length, rate, volume, reserved, matrix, reserved, next track.
    let mut header = vec![0, 0, MILLISECONDS, heard, 0x1_0000, 0x0100_0000, 0, 0];
    header.extend(MATRIX);
    header.extend([0, 0, 0, 0, 0, 0, TRACK + 1]);
    // Created, changed, id, reserved, length, reserved, layer and group, volume, matrix, size.
    let mut shown = vec![0, 0, TRACK, 0, heard, 0, 0, 0, 0x0100_0000];
    shown.extend(MATRIX);
    shown.extend([0, 0]);
    let sound = [&b"\0\0\0\0\0\0\0\0soun"[..], &[0; 12], b"Sound\0"].concat();
    let media = within(
        *b"mdia",
        &[
            full(*b"mdhd", 0, &[0, 0, RATE, samples, u32::from(NO_LANGUAGE) << 16]),
            atom(*b"hdlr", &sound),
            within(
                *b"minf",
                &[
                    full(*b"smhd", 0, &[0]),
                    within(*b"dinf", &[references()]),
                    within(*b"stbl", &table(track, offset)),
                ],
            ),
        ],
    );
    let track = within(
        *b"trak",
        &[
            full(*b"tkhd", 7, &shown),
            within(*b"edts", &[full(*b"elst", 0, &[1, heard, skipped, 0x1_0000])]),
            media,
        ],
    );
    within(*b"moov", &[full(*b"mvhd", 0, &header), track])
}

/// The bytes are in this very file.
fn references() -> Vec<u8> {
    let here = full(*b"url ", 1, &[]);
    atom(*b"dref", &[&[0, 0, 0, 0, 0, 0, 0, 1][..], &here].concat())
}

/// What each packet is, how long, how large, and where.
fn table(track: &Track, offset: u32) -> [Vec<u8>; 7] {
    let count = u32::try_from(track.sizes.len()).unwrap_or(u32::MAX);
    let mut runs: Vec<u32> = vec![0];
    for run in track.durations.chunk_by(|one, next| one == next) {
        runs[0] += 1;
        runs.extend([u32::try_from(run.len()).unwrap_or(u32::MAX), run[0]]);
    }
    let sizes: Vec<u32> = [0, count].into_iter().chain(track.sizes.iter().copied()).collect();
    let packets = PRE_ROLL.div_ceil(track.durations[0].max(1));
    let roll = i16::try_from(packets).map_or(i16::MIN, |packets| -packets).to_be_bytes();
    // A group of two bytes each, of which there is one.
    let group = [&b"\x01\0\0\0roll\0\0\0\x02\0\0\0\x01"[..], &roll].concat();
    let roll = u32::from_be_bytes(*b"roll");
    [
        atom(*b"stsd", &[&[0, 0, 0, 0, 0, 0, 0, 1][..], &sample_entry(&track.head)].concat()),
        full(*b"stts", 0, &runs),
        full(*b"stsc", 0, &[1, 1, count, 1]),
        full(*b"stsz", 0, &sizes),
        full(*b"stco", 0, &[1, offset]),
        atom(*b"sgpd", &group),
        full(*b"sbgp", 0, &[roll, 1, count, 1]),
    ]
}

fn sample_entry(head: &OpusHead) -> Vec<u8> {
    let mut content = vec![0, 0, 0, 0, 0, 0, 0, 1];
    content.extend([0; 8]);
    content.extend(u16::from(head.channel_count).to_be_bytes());
    content.extend(16_u16.to_be_bytes());
    content.extend([0; 4]);
    content.extend((RATE << 16).to_be_bytes());
    let mut specific = vec![0, head.channel_count];
    specific.extend(head.pre_skip.to_be_bytes());
    specific.extend(head.input_sample_rate.to_be_bytes());
    specific.extend(head.output_gain_q8.to_be_bytes());
    specific.push(0);
    content.extend(atom(*b"dOps", &specific));
    atom(*b"Opus", &content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use symphonia::core::codecs::CODEC_TYPE_OPUS;
    use symphonia::core::formats::FormatOptions;
    use symphonia::core::io::{MediaSourceStream, MediaSourceStreamOptions};
    use symphonia::core::meta::MetadataOptions;
    use symphonia::core::probe::Hint;

    #[test]
    fn another_reader_finds_the_same_packets_in_it() {
        let ogg = super::super::tests::ogg();
        let mp4 = of_ogg(&ogg).expect("an MP4");
        assert_eq!(crate::media::kind::sniff(&mp4), Some("video/mp4"), "sound and film share it");
        let source =
            MediaSourceStream::new(Box::new(Cursor::new(mp4)), MediaSourceStreamOptions::default());
        let (hint, options) = (Hint::new(), FormatOptions::default());
        let probe = symphonia::default::get_probe();
        let probed = probe.format(&hint, source, &options, &MetadataOptions::default());
        let mut format = probed.expect("it is known").format;
        let track = format.default_track().expect("a track").clone();
        assert_eq!(track.codec_params.codec, CODEC_TYPE_OPUS);
        assert_eq!(track.codec_params.sample_rate, Some(RATE));
        let written = read(&ogg).expect("a note");
        let mut read = Vec::new();
        for duration in &written.durations {
            let packet = format.next_packet().expect("a packet");
            assert_eq!(packet.dur, u64::from(*duration));
            read.extend_from_slice(packet.buf());
        }
        assert!(format.next_packet().is_err(), "no more than there were");
        assert_eq!(read, written.bytes);
    }

    #[test]
    fn what_is_no_note_is_refused() {
        for bytes in [&b"OggS"[..], b"", b"\0\0\0\x20ftypM4A "] {
            assert!(of_ogg(&Bytes::from_static(bytes)).is_err());
        }
    }
}
