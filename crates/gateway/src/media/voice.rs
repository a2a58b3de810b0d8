//! Voice notes: any common audio made into Opus in Ogg, one channel at 48 kHz, with what a player draws.
//!
//! It streams: a packet is decoded, brought to the rate, encoded and written before the next one is read.
//! Only the loudness of each 20 ms is kept to the end. Opus that is in order already is passed through.

mod decode;
mod mp4;

use super::kind::sniff;
use crate::error::ServiceError;
use bytes::Bytes;
use decode::Samples;
use opus_pure::{
    Application, MAX_PACKET_BYTES, MAX_PACKET_SAMPLES, OggOpusReader, OggOpusWriter, OpusEncoder,
    OpusHead, Trim,
};
use rubato::{
    Resampler, SincFixedIn, SincInterpolationParameters, SincInterpolationType, WindowFunction,
};
use std::io::Cursor;

/// The rate of voice notes.
const RATE: u32 = 48_000;
/// 20 ms.
const FRAME: usize = RATE as usize / 50;
/// Enough for speech and good enough for music.
const BITRATE: i32 = 32_000;
/// Longest note.
const MAX_SECONDS: usize = 30 * 60;
/// A player draws this many bars.
const BARS: usize = 64;
/// How many samples are brought to the rate at once.
const CHUNK: usize = 1024;

/// A voice note.
pub(super) struct VoiceNote {
    pub(super) ogg: Bytes,
    pub(super) seconds: u32,
    pub(super) waveform: Bytes,
}

/// A voice note of any audio.
pub(super) fn note(audio: &Bytes, mimetype: &str) -> Result<VoiceNote, ServiceError> {
    if mimetype == "audio/ogg" && is_opus(audio) {
        return of_opus(audio);
    }
    let mut recorder = Recorder::new()?;
    let mut samples = Samples::open(audio)?;
    let mut rate = None;
    while let Some((mono, at)) = samples.next()? {
        let converter = match rate.take() {
            Some((known, converter)) if known == at => converter,
            // The rate may change in the middle of a badly joined file.
            _ => Converter::to_voice(at)?,
        };
        let mut converter = converter;
        recorder.take(&converter.convert(mono)?)?;
        rate = Some((at, converter));
    }
    if let Some((_, mut converter)) = rate {
        recorder.take(&converter.finish()?)?;
    }
    recorder.finish()
}

/// Any audio in MP4; what is MP4 already stays as it is.
pub(super) fn in_mp4(audio: &Bytes) -> Result<Bytes, ServiceError> {
    match sniff(audio) {
        Some("audio/mp4" | "video/mp4") => Ok(audio.clone()),
        Some(kind) => mp4::of_ogg(&note(audio, kind)?.ogg),
        None => Err(unreadable()),
    }
}

/// How long an audio file says that it is.
pub(super) fn seconds(audio: &Bytes) -> Option<u32> {
    Samples::open(audio).ok()?.seconds()
}

fn is_opus(ogg: &[u8]) -> bool {
    ogg.get(..64).is_some_and(|head| head.windows(8).any(|mark| mark == b"OpusHead"))
}

/// Opus is heard for its length and loudness; of several channels it is recorded anew.
fn of_opus(audio: &Bytes) -> Result<VoiceNote, ServiceError> {
    let mut reader = OggOpusReader::new(Cursor::new(audio.clone())).map_err(|_| unreadable())?;
    let head = reader.head().clone();
    let rate = RATE.cast_signed();
    let mut decoder = head.decoder(rate).map_err(|_| unreadable())?;
    let channels = decoder.channels();
    let mut trim = Trim::new(&head, rate, channels).map_err(|_| unreadable())?;
    let mut block = vec![0.0; MAX_PACKET_SAMPLES * channels];
    let mut recorder = Recorder::new()?;
    let mut listener = Levels::default();
    while let Some(packet) = reader.read_packet().map_err(|_| unreadable())? {
        let frames = decoder.decode(&packet.data, MAX_PACKET_SAMPLES, &mut block);
        let frames = frames.map_err(|_| unreadable())?;
        let kept = trim.keep(&packet, &block[..frames * channels]);
        if channels == 1 {
            listener.hear(kept)?;
        } else {
            recorder.take(&mixed(kept, channels))?;
        }
    }
    if channels == 1 {
        let (seconds, waveform) = listener.finish()?;
        return Ok(VoiceNote { ogg: audio.clone(), seconds, waveform });
    }
    recorder.finish()
}

#[expect(clippy::cast_precision_loss, reason = "a file has few channels")]
fn mixed(interleaved: &[f32], channels: usize) -> Vec<f32> {
    let share = 1.0 / channels as f32;
    interleaved.chunks_exact(channels).map(|frame| frame.iter().sum::<f32>() * share).collect()
}

/// Brings samples of another rate to that of voice notes.
struct Converter(Option<(SincFixedIn<f32>, Vec<f32>)>);

impl Converter {
    fn to_voice(rate: u32) -> Result<Self, ServiceError> {
        if rate == RATE {
            return Ok(Self(None));
        }
        if !(4_000..=384_000).contains(&rate) {
            return Err(unreadable());
        }
        let parameters = SincInterpolationParameters {
            sinc_len: 64,
            f_cutoff: 0.92,
            oversampling_factor: 128,
            interpolation: SincInterpolationType::Linear,
            window: WindowFunction::BlackmanHarris2,
        };
        let ratio = f64::from(RATE) / f64::from(rate);
        let resampler = SincFixedIn::new(ratio, 1.0, parameters, CHUNK, 1);
        Ok(Self(Some((resampler.map_err(|_| unreadable())?, Vec::new()))))
    }

    fn convert(&mut self, mono: Vec<f32>) -> Result<Vec<f32>, ServiceError> {
        let Some((resampler, waiting)) = &mut self.0 else { return Ok(mono) };
        waiting.extend_from_slice(&mono);
        let mut converted = Vec::new();
        let whole = waiting.len() / CHUNK * CHUNK;
        for chunk in waiting[..whole].chunks_exact(CHUNK) {
            let done = resampler.process(&[chunk], None).map_err(|_| unreadable())?;
            converted.extend_from_slice(&done[0]);
        }
        waiting.drain(..whole);
        Ok(converted)
    }

    fn finish(&mut self) -> Result<Vec<f32>, ServiceError> {
        let Some((resampler, waiting)) = &mut self.0 else { return Ok(Vec::new()) };
        let rest = std::mem::take(waiting);
        let done = resampler.process_partial(Some(&[rest]), None).map_err(|_| unreadable())?;
        Ok(done.into_iter().next().unwrap_or_default())
    }
}

/// Encodes and writes.
struct Recorder {
    encoder: OpusEncoder,
    writer: OggOpusWriter<Vec<u8>>,
    waiting: Vec<f32>,
    packet: Vec<u8>,
    levels: Levels,
}

impl Recorder {
    fn new() -> Result<Self, ServiceError> {
        let encoder = OpusEncoder::new(RATE.cast_signed(), 1, Application::Voip);
        let mut encoder = encoder.map_err(|_| unreadable())?;
        encoder.bitrate_bps = BITRATE;
        let head = OpusHead::for_encoder(&encoder, RATE);
        let writer = OggOpusWriter::new(Vec::new(), head).map_err(|_| unreadable())?;
        let packet = vec![0; MAX_PACKET_BYTES];
        Ok(Self { encoder, writer, waiting: Vec::new(), packet, levels: Levels::default() })
    }

    fn take(&mut self, mono: &[f32]) -> Result<(), ServiceError> {
        self.waiting.extend_from_slice(mono);
        let whole = self.waiting.len() / FRAME * FRAME;
        for start in (0..whole).step_by(FRAME) {
            self.write(start)?;
        }
        self.waiting.drain(..whole);
        Ok(())
    }

    fn write(&mut self, start: usize) -> Result<(), ServiceError> {
        let frame = &self.waiting[start..start + FRAME];
        self.levels.hear(frame)?;
        let written = self.encoder.encode(frame, FRAME, &mut self.packet);
        let written = written.map_err(|_| unreadable())?;
        self.writer.write_packet(&self.packet[..written]).map_err(|_| unreadable())
    }

    fn finish(mut self) -> Result<VoiceNote, ServiceError> {
        if !self.waiting.is_empty() {
            self.waiting.resize(FRAME, 0.0);
            self.write(0)?;
        }
        let (seconds, waveform) = self.levels.finish()?;
        let ogg = self.writer.finish().map_err(|_| unreadable())?;
        Ok(VoiceNote { ogg: ogg.into(), seconds, waveform })
    }
}

/// How loud each 20 ms was.
#[derive(Default)]
struct Levels {
    heard: usize,
    frames: Vec<f32>,
}

impl Levels {
    #[expect(clippy::cast_precision_loss, reason = "the length of a packet is small")]
    fn hear(&mut self, mono: &[f32]) -> Result<(), ServiceError> {
        self.heard += mono.len();
        if self.heard > MAX_SECONDS * RATE as usize {
            return Err(ServiceError::Invalid("a voice note lasts at most 30 minutes".into()));
        }
        for frame in mono.chunks(FRAME) {
            let power: f32 = frame.iter().map(|sample| sample * sample).sum();
            self.frames.push((power / frame.len() as f32).sqrt());
        }
        Ok(())
    }

    /// Seconds, and bars of 0 to 100 of which the loudest is 100.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of the loudest is from 0 to 100"
    )]
    fn finish(self) -> Result<(u32, Bytes), ServiceError> {
        if self.heard == 0 {
            return Err(unreadable());
        }
        let loudest = self.frames.iter().copied().fold(f32::MIN_POSITIVE, f32::max);
        let bar = |index: usize| {
            let first = index * self.frames.len() / BARS;
            let last = ((index + 1) * self.frames.len() / BARS).max(first + 1);
            let part = self.frames.get(first..last.min(self.frames.len())).unwrap_or_default();
            let level = part.iter().copied().fold(0.0, f32::max) / loudest;
            (level * 100.0) as u8
        };
        let waveform: Vec<u8> = (0..BARS).map(bar).collect();
        let seconds = self.heard.div_ceil(RATE as usize);
        Ok((u32::try_from(seconds).unwrap_or(u32::MAX), waveform.into()))
    }
}

fn unreadable() -> ServiceError {
    ServiceError::Invalid("the file is no audio that can be read".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A second of a tone that grows, as a WAV file.
    fn wav(rate: u32, channels: u16) -> Bytes {
        let frames: Vec<i16> = (0..rate)
            .flat_map(|n| {
                let time = f64::from(n) / f64::from(rate);
                let tone = (time * 440.0 * std::f64::consts::TAU).sin() * time * 20_000.0;
                #[expect(clippy::cast_possible_truncation, reason = "below 20 000")]
                let sample = tone as i16;
                std::iter::repeat_n(sample, usize::from(channels))
            })
            .collect();
        let data: Vec<u8> = frames.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        let length = u32::try_from(data.len()).expect("short");
        let mut file = Vec::new();
        file.extend_from_slice(b"RIFF");
        file.extend_from_slice(&(36 + length).to_le_bytes());
        file.extend_from_slice(b"WAVEfmt \x10\0\0\0\x01\0");
        file.extend_from_slice(&channels.to_le_bytes());
        file.extend_from_slice(&rate.to_le_bytes());
        file.extend_from_slice(&(rate * u32::from(channels) * 2).to_le_bytes());
        file.extend_from_slice(&(channels * 2).to_le_bytes());
        file.extend_from_slice(b"\x10\0data");
        file.extend_from_slice(&length.to_le_bytes());
        file.extend_from_slice(&data);
        file.into()
    }

    /// A note of a second.
    pub(super) fn ogg() -> Bytes {
        note(&wav(RATE, 1), "audio/wav").expect("a note").ogg
    }

    #[test]
    fn any_rate_and_channels_become_a_note_of_the_same_length() {
        for (rate, channels) in [(8_000, 1), (44_100, 2), (48_000, 1)] {
            let made = note(&wav(rate, channels), "audio/wav").expect("a note");
            assert!((1..=2).contains(&made.seconds), "{rate} {channels}");
            assert_eq!(made.waveform.len(), BARS);
            assert!(made.waveform[5] < made.waveform[55], "it grows: {:?}", made.waveform);
            let reader = OggOpusReader::new(Cursor::new(made.ogg.clone())).expect("Ogg Opus");
            assert_eq!(reader.head().channel_count, 1);
            let again = note(&made.ogg, "audio/ogg").expect("a note");
            assert_eq!(again.ogg, made.ogg, "Opus in order is passed through");
        }
    }

    #[test]
    fn what_is_no_audio_is_refused() {
        assert!(note(&Bytes::from_static(b"no audio at all"), "audio/wav").is_err());
        let mut cut = wav(8_000, 1).to_vec();
        cut.truncate(44);
        assert!(note(&cut.into(), "audio/wav").is_err());
        assert!(note(&Bytes::from_static(b"OggS\0OpusHead"), "audio/ogg").is_err());
    }

    #[test]
    fn a_file_says_how_long_it_is() {
        assert_eq!(seconds(&wav(8_000, 1)), Some(1));
    }
}
