//! Compressed audio read packet by packet: MP3, AAC, M4A, WAV, FLAC, Ogg Vorbis.

use super::{mixed, unreadable};
use crate::error::ServiceError;
use bytes::Bytes;
use std::io::Cursor;
use symphonia::core::audio::SampleBuffer;
use symphonia::core::codecs::{CODEC_TYPE_NULL, Decoder, DecoderOptions};
use symphonia::core::errors::Error;
use symphonia::core::formats::{FormatOptions, FormatReader};
use symphonia::core::io::MediaSourceStream;
use symphonia::core::meta::{Limit, MetadataOptions};
use symphonia::core::probe::Hint;

/// How much of pictures and texts in a file is read.
const METADATA: usize = 64 << 10;
/// How many packets in a row may be broken.
const BROKEN: u32 = 100;

/// The samples of a file, mixed to one channel.
pub(super) struct Samples {
    format: Box<dyn FormatReader>,
    decoder: Box<dyn Decoder>,
    track: u32,
    broken: u32,
}

impl Samples {
    pub(super) fn open(audio: &Bytes) -> Result<Self, ServiceError> {
        let source = MediaSourceStream::new(
            Box::new(Cursor::new(audio.clone())),
            symphonia::core::io::MediaSourceStreamOptions::default(),
        );
        let metadata = MetadataOptions {
            limit_metadata_bytes: Limit::Maximum(METADATA),
            limit_visual_bytes: Limit::Maximum(METADATA),
        };
        let probed = symphonia::default::get_probe()
            .format(&Hint::new(), source, &FormatOptions::default(), &metadata)
            .map_err(|_| unreadable())?;
        let format = probed.format;
        let track = format
            .tracks()
            .iter()
            .find(|track| track.codec_params.codec != CODEC_TYPE_NULL)
            .ok_or_else(unreadable)?;
        let decoder = symphonia::default::get_codecs()
            .make(&track.codec_params, &DecoderOptions::default())
            .map_err(|_| unreadable())?;
        let track = track.id;
        Ok(Self { format, decoder, track, broken: 0 })
    }

    /// How long the file says that it is.
    pub(super) fn seconds(&self) -> Option<u32> {
        let track = self.format.tracks().iter().find(|track| track.id == self.track)?;
        let (base, frames) = (track.codec_params.time_base?, track.codec_params.n_frames?);
        u32::try_from(base.calc_time(frames).seconds).ok().map(|seconds| seconds.max(1))
    }

    /// The next samples and their rate; `None` at the end. A broken packet is left out.
    pub(super) fn next(&mut self) -> Result<Option<(Vec<f32>, u32)>, ServiceError> {
        loop {
            let packet = match self.format.next_packet() {
                Ok(packet) if packet.track_id() == self.track => packet,
                Ok(_) => continue,
                // Also the end of a file.
                Err(Error::IoError(_) | Error::ResetRequired) => return Ok(None),
                Err(_) => return Err(unreadable()),
            };
            match self.decoder.decode(&packet) {
                Ok(decoded) => {
                    self.broken = 0;
                    let spec = *decoded.spec();
                    let capacity = u64::try_from(decoded.capacity()).unwrap_or_default();
                    let mut samples = SampleBuffer::<f32>::new(capacity, spec);
                    samples.copy_interleaved_ref(decoded);
                    let channels = spec.channels.count().max(1);
                    return Ok(Some((mixed(samples.samples(), channels), spec.rate)));
                }
                Err(Error::DecodeError(_)) if self.broken < BROKEN => self.broken += 1,
                Err(_) => return Err(unreadable()),
            }
        }
    }
}
