//! Files that were made to break whoever reads them, and files that are not what they say.

use crate::harness::TestServer;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use futures_util::StreamExt as _;
use futures_util::stream;
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::io::{Cursor, Write as _};
use std::path::Path;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

fn of_the_evaluation(name: &str) -> Vec<u8> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bench/kb/docs");
    std::fs::read(docs.join(name)).expect("a document of the evaluation")
}

/// A DOCX whose text unpacks to that many megabytes.
fn docx_of(megabytes: usize) -> Vec<u8> {
    let mut file = ZipWriter::new(Cursor::new(Vec::new()));
    file.start_file("word/document.xml", SimpleFileOptions::default()).expect("a part");
    file.write_all(b"<w:document><w:body><w:p><w:r><w:t>").expect("written");
    let chunk = vec![b'a'; 1 << 20];
    for _ in 0..megabytes {
        file.write_all(&chunk).expect("written");
    }
    file.finish().expect("a file").into_inner()
}

/// A PDF with a page whose content unpacks to that many megabytes.
fn pdf_of(megabytes: usize) -> Vec<u8> {
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::best());
    let chunk = b"0 0 m ".repeat((1 << 20) / 6);
    for _ in 0..megabytes {
        packed.write_all(&chunk).expect("packed");
    }
    let packed = packed.finish().expect("packed");
    let mut file = b"%PDF-1.5\n".to_vec();
    let mut offsets = Vec::new();
    let mut object = |file: &mut Vec<u8>, body: &[u8]| {
        offsets.push(file.len());
        file.extend_from_slice(format!("{} 0 obj\n", offsets.len()).as_bytes());
        file.extend_from_slice(body);
        file.extend_from_slice(b"\nendobj\n");
    };
    object(&mut file, b"<< /Type /Catalog /Pages 2 0 R >>");
    object(&mut file, b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>");
    object(
        &mut file,
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /Contents 4 0 R /Resources << >> >>",
    );
    let mut stream =
        format!("<< /Length {} /Filter /FlateDecode >>\nstream\n", packed.len()).into_bytes();
    stream.extend_from_slice(&packed);
    stream.extend_from_slice(b"\nendstream");
    object(&mut file, &stream);
    let table = file.len();
    file.extend_from_slice(b"xref\n0 5\n0000000000 65535 f \n");
    for offset in offsets {
        file.extend_from_slice(format!("{offset:010} 00000 n \n").as_bytes());
    }
    let end = format!("trailer << /Size 5 /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n");
    file.extend_from_slice(end.as_bytes());
    file
}

/// The most memory of this process so far, in kilobytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("a peak");
    line.split_whitespace().nth(1).and_then(|kilobytes| kilobytes.parse().ok()).expect("a number")
}

async fn fails_with(server: &TestServer, name: &str, bytes: &[u8]) -> String {
    let id = server.document(name, bytes).await;
    let document = server.until_read(&id).await;
    assert_eq!(document["status"], "failed", "{document}");
    assert!(document["reason"].as_str().is_some_and(|why| why.len() > 10), "{document}");
    document["reasonCode"].as_str().expect("a word").to_owned()
}

#[tokio::test]
async fn bombs_and_wrong_types_fail_with_a_reason_and_harm_nobody() {
    let server = TestServer::start().await;
    let (docx, pdf) = (docx_of(300), pdf_of(1_200));
    let before = peak();
    assert_eq!(fails_with(&server, "bomb.docx", &docx).await, "too_much_text");
    let bomb = fails_with(&server, "bomb.pdf", &pdf).await;
    assert!(["too_much_memory", "reading_timed_out", "no_text"].contains(&bomb.as_str()), "{bomb}");
    for (name, bytes, reason) in [
        ("program.pdf", &b"\x7fELF\x02\x01\x01\0\0\0\0\0"[..], "unsupported_format"),
        ("cut.pdf", &of_the_evaluation("garantia-y-servicio-tecnico.pdf")[..900], "damaged"),
        ("cut.docx", &of_the_evaluation("warranty-terms.docx")[..9_000], "damaged"),
        ("old.doc", b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1rest", "protected"),
        ("spaces.txt", b" \n\t\n ", "no_text"),
        ("picture.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "unsupported_format"),
    ] {
        assert_eq!(fails_with(&server, name, bytes).await, reason, "{name}");
    }
    let (status, empty) = server.upload(crate::harness::ADMIN_KEY, "empty.txt", b"").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{empty}");
    let long = vec![b'a'; flowcore_gateway::MAX_DOCUMENT + (128 << 10)];
    let (status, refused) = server.upload(crate::harness::ADMIN_KEY, "long.txt", &long).await;
    assert_eq!(
        (status, &refused["code"]),
        (StatusCode::PAYLOAD_TOO_LARGE, &json!("document_too_large"))
    );
    let good = server.document("good.md", super::HOURS).await;
    assert_eq!(server.until_read(&good).await["status"], "indexed");
    let grown = peak().saturating_sub(before);
    assert!(grown < 200 * 1024, "the server grew by {grown} kB");
    server.stop().await;
}

#[tokio::test]
async fn three_hundred_broken_files_are_all_answered() {
    let server = TestServer::start().await;
    let whole = of_the_evaluation("garantia-y-servicio-tecnico.pdf");
    let mut dice = 41u64;
    let mut roll = move |most: usize| {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(dice >> 33).expect("31 bits") % most
    };
    let files: Vec<Vec<u8>> = (0..300)
        .map(|_| {
            let mut file = whole.clone();
            for _ in 0..=roll(60) {
                let at = roll(file.len());
                file[at] = u8::try_from(roll(256)).expect("a byte");
            }
            file
        })
        .collect();
    let send = |(n, file): (usize, Vec<u8>)| {
        let server = &server;
        async move { server.document(&format!("{n}.pdf"), &file).await }
    };
    let uploads = stream::iter(files.into_iter().enumerate()).map(send).buffer_unordered(4);
    let ids: Vec<String> = uploads.collect().await;
    let mut read = 0;
    for id in &ids {
        let document: Value = server.until_read(id).await;
        match document["status"].as_str() {
            Some("indexed") => read += 1,
            _ => assert!(document["reasonCode"].is_string(), "{document}"),
        }
    }
    assert!(read > 0, "some are hardly harmed");
    server.stop().await;
}
