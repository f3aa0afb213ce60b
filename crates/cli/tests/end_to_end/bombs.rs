//! Small requests that ask for much: each is refused, or done, without the server's memory growing by much.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};
use url::Url;

use crate::world::{Serve, World};

/// Most that the server may hold at its peak above what it holds at rest.
const ALLOWED: u64 = 100 << 20;

/// The peak of a process's memory, in bytes.
fn peak(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the server runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux tells the peak");
    let kibibytes: u64 = line.trim().trim_end_matches("kB").trim().parse().expect("it is a number");
    kibibytes << 10
}

/// A server, and what it held at its peak before anything was asked of it.
struct Watched {
    world: World,
    idle: u64,
}

impl Watched {
    async fn start(serve: Serve) -> Self {
        let world = World::start(serve).await;
        let idle = peak(world.pid());
        Self { world, idle }
    }

    fn check(&self, what: &str) {
        let more = peak(self.world.pid()).saturating_sub(self.idle);
        assert!(more <= ALLOWED, "{what} took {} MiB", more >> 20);
    }
}

/// Sends a head and then `start` and pieces of `more` as a chunked body, up to `most` bytes, until the server answers; gives
/// the status and how much was sent.
fn sent_until_refused(url: &Url, head: &str, start: &str, more: &str, most: usize) -> (String, usize) {
    let address = (url.host_str().expect("the server has a host"), url.port().expect("the server has a port"));
    let mut stream = TcpStream::connect(address).expect("the server listens");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("it can be set");
    let head = format!("{head}\r\nHost: {}\r\nTransfer-Encoding: chunked\r\n\r\n", address.0);
    let chunk = |piece: &str| format!("{:x}\r\n{piece}\r\n", piece.len());
    stream.write_all(format!("{head}{}", chunk(start)).as_bytes()).expect("the server reads");
    let piece = chunk(&more.repeat((1 << 16) / more.len()));
    let mut sent = 0;
    let (mut answer, mut space) = (Vec::new(), [0; 4096]);
    stream.set_nonblocking(true).expect("it can be set");
    // Reads without waiting, so that a refusal is seen as soon as it is there.
    while answer.is_empty() && sent < most {
        let mut rest = piece.as_bytes();
        while !rest.is_empty() && answer.is_empty() {
            match stream.write(rest) {
                Ok(written) => rest = &rest[written..],
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => std::thread::yield_now(),
                Err(error) => panic!("the server ended the connection before it answered: {error}"),
            }
            if let Ok(read) = stream.read(&mut space) {
                answer.extend_from_slice(&space[..read]);
            }
        }
        sent += piece.len();
    }
    let answer = String::from_utf8_lossy(&answer).into_owned();
    (answer.split(' ').nth(1).unwrap_or("no answer").to_owned(), sent)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_multipart_body_is_refused_where_its_heads_or_its_preamble_have_no_end() {
    let watched = Watched::start(Serve::dev().set("open", "clipzy")).await;
    let key = format!("\r\nAuthorization: Bearer {}", watched.world.key());
    let parts = [
        ("413", "--B\r\nContent-Disposition: form-data; name=\"AAAA", "A"),
        ("413", "--B\r\n", "X-Header: value\r\n"),
        ("413", "a preamble", "A"),
        ("413", "a preamble of lines", "\r\n--A"),
        ("413", "--B", " "),
        ("400", "", "\r\n--B\r\nContent-Disposition: form-data; name=\"other\"\r\n\r\n"),
    ];
    for (path, key) in [
        ("/v1/uploads", key.as_str()),
        ("/v1/jobs", &key),
        ("/compressor/1.0/upload", &key),
        ("/removebgvideo/v1/uploads", &key),
        ("/clipzy/api/v1/videos/upload", ""),
    ] {
        for (status, start, more) in parts {
            // Some refuse a part that they do not read for its name, and RemoveBGVideo has one status for all bodies.
            let statuses =
                if status == "400" || path.contains("removebg") { &["400", "422"][..] } else { &[status][..] };
            let url = watched.world.url("/");
            let head = format!("POST {path} HTTP/1.1{key}\r\nContent-Type: multipart/form-data; boundary=B");
            let sending = tokio::task::spawn_blocking(move || sent_until_refused(&url, &head, start, more, 64 << 20));
            let (answer, sent) = sending.await.expect("sending does not panic");
            assert!(statuses.contains(&answer.as_str()), "{path}, {start:?}: {answer} after {sent} bytes");
        }
    }
    watched.check("multipart bodies");
}

/// A PNG of few pixels with these chunks before them.
fn png(chunks: &[(&[u8; 4], Vec<u8>)]) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1A\n".to_vec();
    let header = [&16_u32.to_be_bytes()[..], &16_u32.to_be_bytes(), &[8, 2, 0, 0, 0]].concat();
    let rows = deflated(&[], &vec![0; 16 * (1 + 16 * 3)]);
    let all =
        [(b"IHDR", header)].into_iter().chain(chunks.iter().cloned()).chain([(b"IDAT", rows), (b"IEND", Vec::new())]);
    for (name, content) in all {
        let named = [&name[..], &content].concat();
        let mut crc = flate2::Crc::new();
        crc.update(&named);
        bytes.extend([&(content.len() as u32).to_be_bytes()[..], &named, &crc.sum().to_be_bytes()].concat());
    }
    bytes
}

/// What stands before, and then the bytes, compressed.
fn deflated(before: &[u8], bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(before.to_vec(), flate2::Compression::best());
    encoder.write_all(bytes).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

/// The same of so many zeros, which are not all held at once.
fn zeros(before: &[u8], count: usize) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(before.to_vec(), flate2::Compression::fast());
    std::io::copy(&mut std::io::repeat(0).take(count as u64), &mut encoder).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

/// A WebP of nothing but its head, which claims to go on for so many bytes.
fn long_webp(claimed: u32) -> Vec<u8> {
    let head = b"VP8X\x0A\0\0\0\0\0\0\0\x0F\0\0\x0F\0\0";
    [b"RIFF", &claimed.to_le_bytes()[..], b"WEBP", head, b"VP8 ", &(claimed - 30).to_le_bytes()[..], &[0; 64]].concat()
}

/// How a job of that file ended, with its error or that of its output.
async fn fate(world: &World, name: &str, bytes: Vec<u8>, recipe: &str) -> (Value, Value) {
    let upload = world.upload(name, bytes).await;
    let job = json!({"input": {"upload": upload}, "outputs": [{"recipe": recipe}]});
    let job = world.job_at_end(&world.submit(&job).await).await;
    let error = if job["error"].is_null() { &job["outputs"][0]["error"] } else { &job["error"] };
    (job["state"].clone(), error.clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_whose_profile_unpacks_to_much_is_refused_by_name() {
    let watched = Watched::start(Serve::dev()).await;
    let profile = || (b"iCCP", zeros(b"name\0\0", 300 << 20));
    let icon = |png: Vec<u8>| {
        let length = (png.len() as u32).to_le_bytes();
        [b"\0\0\x01\0\x01\0\x10\x10\0\0\x01\0\x20\0", &length[..], &22_u32.to_le_bytes()[..], &png].concat()
    };
    for (name, bytes) in [("a.png", png(&[profile()])), ("a.ico", icon(png(&[profile()])))] {
        for recipe in ["image", "thumbnail"] {
            let (state, error) = fate(&watched.world, name, bytes.clone(), recipe).await;
            assert_eq!((&state, &error["code"]), (&json!("rejected"), &json!("over_limit")), "{name}: {error:#}");
            assert!(error["message"].as_str().is_some_and(|said| said.contains("colour profile")), "{error:#}");
        }
    }
    watched.check("colour profiles");
    // Texts are never unpacked, so that they harm nobody; and what claims to be large is believed only so far.
    for name in [b"zTXt", b"iTXt"] {
        let before = if name == b"zTXt" { &b"a\0\0"[..] } else { b"a\0\x01\0\0\0" };
        let (state, error) = fate(&watched.world, "a.png", png(&[(name, zeros(before, 300 << 20))]), "image").await;
        assert_eq!(state, "completed", "{error:#}");
    }
    for claimed in [200 << 20, u32::MAX - 8] {
        let (state, error) = fate(&watched.world, "a.webp", long_webp(claimed), "image").await;
        assert!(state == "failed" || state == "rejected", "{state}: {error:#}");
    }
    watched.check("texts and claims");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_that_needs_more_memory_than_all_have_is_refused_and_others_wait() {
    let serve = Serve::dev().set("image.memory_bytes", 40_000).set("worker.slots", 4);
    let watched = Watched::start(serve).await;
    let mut jobs = Vec::new();
    for _ in 0..8 {
        // 16 x 16 pixels at 16 bytes, and twice the file: nine of them do not fit together.
        let upload = watched.world.upload("a.png", png(&[(b"tEXt", vec![b'a'; 10_000])])).await;
        jobs.push(watched.world.submit(&json!({"input": {"upload": upload}, "outputs": [{"recipe": "image"}]})).await);
    }
    for job in jobs {
        watched.world.job_ended(&job, "completed").await;
    }
    let large = png(&[(b"tEXt", vec![b'a'; 20_000])]);
    let (state, error) = fate(&watched.world, "a.png", large, "image").await;
    assert_eq!(error["code"], "over_limit", "{state}: {error:#}");
    assert!(error["message"].as_str().is_some_and(|said| said.contains("image.memory_bytes")), "{error:#}");
}

/// A tar of empty members under these names, compressed.
fn tar_gz(names: impl Iterator<Item = String>) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let block = |name: &[u8], kind: u8, size: usize| {
        let mut block = [0; 512];
        let end = name.len().min(99);
        block[..end].copy_from_slice(&name[..end]);
        block[100..107].copy_from_slice(b"0000644");
        block[124..135].copy_from_slice(format!("{size:011o}").as_bytes());
        block[148..156].fill(b' ');
        block[156] = kind;
        block[257..265].copy_from_slice(b"ustar  \0");
        let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
        block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        block
    };
    for name in names {
        let mut long = name.into_bytes();
        long.push(0);
        let length = long.len();
        long.resize(length.next_multiple_of(512), 0);
        let parts = [&block(b"././@LongLink", b'L', length)[..], &long, &block(&long, b'0', 0)].concat();
        encoder.write_all(&parts).expect("memory takes it");
    }
    encoder.write_all(&[0; 1024]).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_of_long_names_is_done_or_refused_within_memory() {
    let watched = Watched::start(Serve::dev()).await;
    let folders = |at: usize| format!("{at}/{}", vec!["\u{FDFA}"; 30].join("/"));
    let own = |at: usize| (0..31).map(|part| format!("{at}-{part}-{}", "\u{FDFA}")).collect::<Vec<_>>().join("/");
    let long = |at: usize| format!("{at}{}", "\u{FDFA}".repeat(300));
    let plain = |at: usize| format!("{at}/{}", vec!["x".repeat(30); 30].join("/"));
    for (what, bytes) in [
        ("folders whose letters are words", tar_gz((0..3000).map(folders))),
        ("many folders of their own", tar_gz((0..3000).map(own))),
        ("names whose letters are words", tar_gz((0..3000).map(long))),
        ("long plain folders", tar_gz((0..3000).map(plain))),
    ] {
        let (state, error) = fate(&watched.world, "a.tar.gz", bytes, "auto").await;
        assert!(state == "completed" || error["code"] == "over_limit", "{what}: {state} {error:#}");
        watched.check(what);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_origin_whose_list_has_no_end_takes_no_memory() {
    let watched = Watched::start(Serve::dev()).await;
    let receiver = reelhook_testkit::Receiver::start().await;
    let endless = reelhook_testkit::Reply::status(200).header("content-type", "application/xml");
    receiver.otherwise(endless.body(vec![b' '; 64 * 1024]).endless());
    let origin = json!({
        "name": "endless",
        "s3": {
            "bucket": "bucket",
            "region": "eu-central-1",
            "endpoint": receiver.url("/"),
            "credentials": {"access_key_id": "a", "secret_access_key": "b"},
        },
        "permissions": ["read"],
    });
    let answer = watched.world.post("/v1/origins", &origin).await.expect(201);
    assert_eq!(answer["validation"]["can_read"], false, "{answer:#}");
    watched.check("the list of a bucket");
}
