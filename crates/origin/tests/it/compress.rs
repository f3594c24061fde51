use std::io::Read;

use flate2::read::{DeflateDecoder, GzDecoder, ZlibDecoder};

use crate::client::{Response, get, start};

fn check(reply: &Response, coding: &str, flag: &str, mut unpacked: impl Read) {
    assert_eq!(reply.header("content-encoding"), Some(coding));
    assert_eq!(reply.header("content-type"), Some("application/json"));
    let mut text = String::new();
    unpacked.read_to_string(&mut text).unwrap();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value[flag], true);
    assert_eq!(value["headers"]["Host"], "test");
}

#[tokio::test]
async fn each_coding_unpacks_to_json_with_its_flag() {
    let origin = start().await;
    let reply = get(&origin, "/gzip").await;
    check(&reply, "gzip", "gzipped", GzDecoder::new(&reply.body[..]));
    let reply = get(&origin, "/deflate").await;
    check(&reply, "deflate", "deflated", ZlibDecoder::new(&reply.body[..]));
    let reply = get(&origin, "/deflate?raw=1").await;
    check(&reply, "deflate", "deflated", DeflateDecoder::new(&reply.body[..]));
    let reply = get(&origin, "/brotli").await;
    check(&reply, "br", "brotli", brotli::Decompressor::new(&reply.body[..], 4096));
    let reply = get(&origin, "/zstd").await;
    check(&reply, "zstd", "zstd", zstd::Decoder::new(&reply.body[..]).unwrap());
}

#[tokio::test]
async fn a_bomb_is_one_valid_gzip_of_so_many_zeros() {
    let origin = start().await;
    for mib in [0, 1, 3] {
        let reply = get(&origin, &format!("/bomb?mib={mib}")).await;
        assert_eq!(reply.header("content-encoding"), Some("gzip"));
        assert!(reply.body.len() < 100 + mib * 2048, "{}", reply.body.len());
        let mut unpacked = Vec::new();
        // Reading to the end checks length and CRC too.
        let mut decoder = GzDecoder::new(&reply.body[..]);
        decoder.read_to_end(&mut unpacked).unwrap();
        assert!(decoder.into_inner().is_empty());
        assert_eq!(unpacked.len(), mib << 20);
        assert!(unpacked.iter().all(|byte| *byte == 0));
    }
}
