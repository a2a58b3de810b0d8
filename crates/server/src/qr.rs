//! The picture of a QR code for the dashboard. (That of the API is the gateway's, which puts it into
//! events as well.)

use qrcode::{Color, EcLevel, QrCode};
use std::fmt::Write as _;

/// Light modules around the code, which scanners need.
const QUIET_ZONE: usize = 4;

/// An SVG without inline style, which the dashboard's policy would refuse. `None` for a text that no
/// code can hold.
pub(crate) fn svg(text: &str) -> Option<String> {
    let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
    let (inner, colors) = (code.width(), code.to_colors());
    let mut path = String::new();
    for y in 0..inner {
        let row = &colors[y * inner..(y + 1) * inner];
        let mut x = 0;
        while x < inner {
            let run = row[x..].iter().take_while(|color| **color == row[x]).count();
            if row[x] == Color::Dark {
                let (left, top) = (x + QUIET_ZONE, y + QUIET_ZONE);
                let _ = write!(path, "M{left} {top}h{run}v1h-{run}z");
            }
            x += run;
        }
    }
    let width = inner + 2 * QUIET_ZONE;
    Some(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {width}\" role=\"img\" \
         aria-label=\"QR code\" shape-rendering=\"crispEdges\"><rect width=\"{width}\" \
         height=\"{width}\" fill=\"#fff\"/><path fill=\"#000\" d=\"{path}\"/></svg>"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dark_module_is_drawn_once() {
        let text = format!("2@{}", "A".repeat(220));
        let code = QrCode::with_error_correction_level(&text, EcLevel::L).expect("a code");
        let dark = code.to_colors().into_iter().filter(|color| *color == Color::Dark).count();
        let svg = svg(&text).expect("a picture");
        let runs = svg.split('z').filter_map(|run| run.split_once("v1h-"));
        let drawn: usize = runs.map(|(_, width)| width.parse::<usize>().expect("a width")).sum();
        assert_eq!(drawn, dark);
        // The finder pattern begins behind the quiet zone with seven dark modules.
        assert!(svg.contains("M4 4h7v1h-7z"), "{svg}");
    }

    #[test]
    fn a_text_that_no_code_can_hold_has_no_picture() {
        assert_eq!(svg(&"x".repeat(5000)), None);
    }
}
