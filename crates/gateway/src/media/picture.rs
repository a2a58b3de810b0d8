//! Pictures: read within bounds, made smaller, turned into what WhatsApp shows.

use super::MediaSource;
use crate::Shared;
use crate::error::ServiceError;
use bytes::Bytes;
use image::codecs::jpeg::JpegEncoder;
use image::imageops::FilterType;
use image::{DynamicImage, ImageFormat, ImageReader, Limits, RgbaImage};
use std::io::Cursor;
use tokio::sync::Semaphore;

/// Most pixels of a side.
const MAX_SIDE: u32 = 12_000;
/// Most memory that a picture may take when it is read.
const MAX_MEMORY: u64 = 256 << 20;
/// Side of the small picture that is shown before the whole one is there.
const THUMBNAIL: u32 = 96;
/// Side of a profile picture.
const PROFILE: u32 = 640;
/// Side of a sticker.
const STICKER: u32 = 512;
/// Width and height of a sticker.
pub(super) const STICKER_SIZE: (u32, u32) = (STICKER, STICKER);
/// How many files are worked on at once: each may take its memory.
static AT_ONCE: Semaphore = Semaphore::const_new(2);

/// Runs something that takes a while and memory, beside the tasks that must not wait for it.
pub(crate) async fn aside<T: Send + 'static>(
    shared: &Shared,
    work: impl FnOnce() -> Result<T, ServiceError> + Send + 'static,
) -> Result<T, ServiceError> {
    let _turn = AT_ONCE.acquire().await.expect("never closed");
    let done = shared.lifecycle.tracker().spawn_blocking(work).await;
    // A decoder that panics has met a file that is none.
    done.unwrap_or_else(|_| Err(unreadable()))
}

/// A square JPEG for a profile.
pub(crate) async fn for_profile(
    shared: &Shared,
    source: &MediaSource,
) -> Result<Bytes, ServiceError> {
    let brought = shared.fetcher.bring(source).await?;
    aside(shared, move || {
        let picture = read(&brought.bytes)?;
        let square = picture.resize_to_fill(PROFILE, PROFILE, FilterType::Triangle);
        jpeg(&square, 80)
    })
    .await
}

/// What is shown of a picture before it is there, and its size.
pub(crate) fn thumbnail(bytes: &[u8]) -> Result<(Bytes, (u32, u32)), ServiceError> {
    let picture = read(bytes)?;
    let size = (picture.width(), picture.height());
    let small = jpeg(&picture.thumbnail(THUMBNAIL, THUMBNAIL), 50)?;
    Ok((small, size))
}

/// A picture that phones show, with what is shown before: anything but JPEG and PNG becomes JPEG.
pub(super) fn shown(bytes: &Bytes, mimetype: &str) -> Result<(Bytes, &'static str), ServiceError> {
    match mimetype {
        "image/jpeg" => Ok((bytes.clone(), "image/jpeg")),
        "image/png" => Ok((bytes.clone(), "image/png")),
        _ => Ok((jpeg(&read(bytes)?, 85)?, "image/jpeg")),
    }
}

/// A sticker of any picture: a square WebP with room around it. A WebP of the right size stays as it is,
/// so that it keeps moving.
pub(super) fn sticker(bytes: &Bytes, mimetype: &str) -> Result<(Bytes, bool), ServiceError> {
    if mimetype == "image/webp" && is_sticker(bytes) {
        return Ok((bytes.clone(), moves(bytes)));
    }
    let picture = read(bytes)?.resize(STICKER, STICKER, FilterType::Lanczos3).to_rgba8();
    let mut square = RgbaImage::new(STICKER, STICKER);
    let (left, top) = ((STICKER - picture.width()) / 2, (STICKER - picture.height()) / 2);
    image::imageops::overlay(&mut square, &picture, i64::from(left), i64::from(top));
    let mut webp = Cursor::new(Vec::new());
    DynamicImage::ImageRgba8(square)
        .write_to(&mut webp, ImageFormat::WebP)
        .map_err(|_| unreadable())?;
    Ok((webp.into_inner().into(), false))
}

/// Whether a WebP has the size of a sticker.
pub(super) fn is_sticker(bytes: &[u8]) -> bool {
    let size = reader(bytes).and_then(|reader| reader.into_dimensions().map_err(|_| unreadable()));
    size.is_ok_and(|size| size == (STICKER, STICKER))
}

/// Whether a WebP has several frames: a bit of its extended header.
pub(super) fn moves(bytes: &[u8]) -> bool {
    bytes.get(12..16) == Some(b"VP8X") && bytes.get(20).is_some_and(|flags| flags & 0x02 != 0)
}

fn reader(bytes: &[u8]) -> Result<ImageReader<Cursor<&[u8]>>, ServiceError> {
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format();
    let mut reader = reader.map_err(|_| unreadable())?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_MEMORY);
    reader.limits(limits);
    Ok(reader)
}

fn read(bytes: &[u8]) -> Result<DynamicImage, ServiceError> {
    reader(bytes)?.decode().map_err(|_| unreadable())
}

fn jpeg(picture: &DynamicImage, quality: u8) -> Result<Bytes, ServiceError> {
    let mut bytes = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut bytes, quality);
    picture.to_rgb8().write_with_encoder(encoder).map_err(|_| unreadable())?;
    Ok(bytes.into())
}

fn unreadable() -> ServiceError {
    ServiceError::Invalid("the file is no picture that can be read, or it is too large".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn png(width: u32, height: u32) -> Bytes {
        let mut bytes = Cursor::new(Vec::new());
        DynamicImage::new_rgb8(width, height)
            .write_to(&mut bytes, ImageFormat::Png)
            .expect("a PNG");
        bytes.into_inner().into()
    }

    #[test]
    fn a_thumbnail_is_a_small_jpeg() {
        let (small, size) = thumbnail(&png(400, 200)).expect("a thumbnail");
        assert_eq!(size, (400, 200));
        let small = read(&small).expect("a JPEG");
        assert_eq!((small.width(), small.height()), (96, 48));
    }

    #[test]
    fn a_sticker_is_a_square_webp_and_one_that_is_one_already_stays() {
        let (webp, moving) = sticker(&png(300, 100), "image/png").expect("a sticker");
        assert!(is_sticker(&webp) && !moving);
        assert_eq!(sticker(&webp, "image/webp").expect("a sticker").0, webp);
    }

    #[test]
    fn what_is_no_picture_or_says_to_be_huge_is_refused() {
        assert!(thumbnail(b"\x89PNG\r\n\x1a\nno").is_err());
        let mut huge = png(1, 1).to_vec();
        huge[16..20].copy_from_slice(&2_000_000_u32.to_be_bytes());
        assert!(thumbnail(&huge).is_err());
    }
}
