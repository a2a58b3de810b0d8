//! Voice notes: real Opus in Ogg, as a phone records them.
//!
//! The sound is a murmur with syllables; what was "spoken" stands in the note's own tags, where
//! the transcriber double reads it.

use opus_pure::{
    Application, MAX_PACKET_BYTES, OggOpusWriter, OpusEncoder, OpusHead, OpusTags, Result,
};

/// Phones record speech at this rate.
const RATE: u32 = 16_000;
/// 20 ms.
const FRAME: usize = RATE as usize / 50;
const BITRATE: i32 = 16_000;
/// Longest note that is made on request.
const LONGEST: f32 = 120.0;
/// A player draws this many bars.
const BARS: usize = 64;
const TRANSCRIPT: &str = "TRANSCRIPT";

/// A recorded note.
pub(super) struct VoiceNote {
    pub(super) ogg: Vec<u8>,
    pub(super) seconds: u32,
    pub(super) waveform: Vec<u8>,
}

/// Speaks a text for so many seconds, or for as long as the text needs.
pub(super) fn record(text: &str, seconds: Option<f32>) -> Result<VoiceNote> {
    #[expect(clippy::cast_precision_loss, reason = "a text is not that long")]
    let natural = text.chars().count() as f32 / 15.0;
    let seconds = seconds.unwrap_or(natural).clamp(1.0, LONGEST);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "1 to 120 s")]
    let frames = (seconds * 50.0) as usize;
    let mut encoder = OpusEncoder::new(RATE.cast_signed(), 1, Application::Voip)?;
    encoder.bitrate_bps = BITRATE;
    let mut tags = OpusTags::new();
    tags.push(TRANSCRIPT, text)?;
    let head = OpusHead::for_encoder(&encoder, RATE);
    let mut writer = OggOpusWriter::with_tags(Vec::new(), head, tags)?;
    let mut packet = vec![0; MAX_PACKET_BYTES];
    for frame in 0..frames {
        let written = encoder.encode(&murmur(frame), FRAME, &mut packet)?;
        writer.write_packet(&packet[..written])?;
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "1 to 120 s")]
    let rounded = seconds.round() as u32;
    Ok(VoiceNote { ogg: writer.finish()?, seconds: rounded, waveform: waveform(frames) })
}

/// One frame of a low voice; it pauses between syllables.
#[expect(clippy::cast_precision_loss, reason = "sample numbers of two minutes are small")]
fn murmur(frame: usize) -> Vec<f32> {
    let loudness = loudness(frame);
    (0..FRAME)
        .map(|sample| {
            let time = (frame * FRAME + sample) as f32 / RATE as f32;
            let tone = |pitch: f32| (time * pitch * std::f32::consts::TAU).sin();
            loudness * (0.5 * tone(130.0) + 0.3 * tone(260.0) + 0.2 * tone(390.0))
        })
        .collect()
}

/// Between 0 and 1; a syllable takes a quarter of a second.
#[expect(clippy::cast_precision_loss, reason = "frame numbers of two minutes are small")]
fn loudness(frame: usize) -> f32 {
    let phase = frame as f32 / 12.5;
    (phase * std::f32::consts::PI).sin().abs() * 0.6
}

fn waveform(frames: usize) -> Vec<u8> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 100")]
    let bar = |index: usize| (loudness(index * frames.max(1) / BARS) * 100.0) as u8;
    (0..BARS).map(bar).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use opus_pure::OggOpusReader;

    use super::*;

    #[test]
    fn a_note_is_playable_opus_of_the_wanted_length_and_carries_its_text() {
        let note = record("good morning", Some(2.0)).expect("it encodes");
        let mut reader = OggOpusReader::new(Cursor::new(note.ogg)).expect("an Ogg Opus file");
        assert_eq!(reader.tags().get(TRANSCRIPT), Some("good morning"));
        assert_eq!(reader.packets().count(), 100);
        assert_eq!(note.seconds, 2);
        assert_eq!(note.waveform.len(), BARS);
    }
}
