//! The picture of a QR code for events and APIs.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use qrcode::{Color, EcLevel, QrCode};

/// Pixels of a module; the whole picture is about 400 pixels wide.
const SCALE: usize = 6;
/// White modules around the code, as the standard wants.
const QUIET: usize = 4;

/// A `data:image/png;base64,…` URL of the code; `None` for a text that does not fit into one.
#[must_use]
pub fn png_data_url(text: &str) -> Option<String> {
    let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
    let modules = code.width();
    let side = (modules + 2 * QUIET) * SCALE;
    let colors = code.to_colors();
    let dark = |x: usize, y: usize| {
        let (x, y) = ((x / SCALE).checked_sub(QUIET), (y / SCALE).checked_sub(QUIET));
        matches!((x, y), (Some(x), Some(y))
            if x < modules && y < modules && colors[y * modules + x] == Color::Dark)
    };
    let mut rows = vec![0_u8; side.div_ceil(8) * side];
    for y in 0..side {
        for x in 0..side {
            if !dark(x, y) {
                rows[y * side.div_ceil(8) + x / 8] |= 0x80 >> (x % 8);
            }
        }
    }
    let mut file = Vec::new();
    let width = u32::try_from(side).ok()?;
    let mut encoder = png::Encoder::new(&mut file, width, width);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::One);
    encoder.write_header().ok()?.write_image_data(&rows).ok()?;
    Some(format!("data:image/png;base64,{}", STANDARD.encode(file)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_code_fits_and_an_endless_one_does_not() {
        let url = png_data_url(&"2@abc,".repeat(40)).expect("a picture");
        assert!(url.starts_with("data:image/png;base64,iVBOR"));
        assert_eq!(png_data_url(&"x".repeat(10_000)), None);
    }
}
