//! Still pictures and animations.

use crate::commands::selftest::case::{Case, Input, Right};
use crate::commands::selftest::seen::Seen;
use crate::commands::selftest::workshop::Workshop;

pub(super) const CASES: &[Case] = &[
    Case {
        group: "pictures",
        name: "A portrait phone photo (EXIF 6) as a thumbnail stands upright",
        file: "photo.jpg",
        input: Input::Built(portrait),
        recipe: r#"{"recipe": "thumbnail", "format": "png"}"#,
        right: Right::Made {
            expected: "240x320: blue red / yellow green",
            by: "pixels as they are stored",
            got: upright,
        },
    },
    Case {
        group: "pictures",
        name: "The same photo made smaller stands upright",
        file: "photo.jpg",
        input: Input::Built(portrait),
        recipe: r#"{"recipe": "image", "format": "png"}"#,
        right: Right::Made {
            expected: "240x320: blue red / yellow green",
            by: "pixels as they are stored",
            got: upright,
        },
    },
    Case {
        group: "pictures",
        name: "An animated PNG keeps its frames",
        file: "anim.png",
        input: Input::Ffmpeg("-f lavfi -i testsrc2=size=96x96:rate=5:duration=1 -f apng -plays 0"),
        recipe: r#"{"recipe": "image"}"#,
        right: Right::Made { expected: "5 frames", by: "the chunks of the file", got: frames_of_png },
    },
    Case {
        group: "pictures",
        name: "A TIFF of several pages says which page was taken",
        file: "scan.tif",
        input: Input::Built(two_pages),
        recipe: r#"{"recipe": "image", "format": "png"}"#,
        right: Right::Made { expected: "the plan tells of 2 pages", by: "the words of the plan", got: tells_of_pages },
    },
    Case {
        group: "pictures",
        name: "A camera RAW image is refused by the name of its format",
        file: "IMG_0001.dng",
        input: Input::Built(raw),
        recipe: r#"{"recipe": "image", "format": "png"}"#,
        right: Right::Refused { code: "unsupported_media", says: "raw" },
    },
];

/// The patches as a JPEG that asks to be turned by 90 degrees to the right.
fn portrait(workshop: &Workshop) -> anyhow::Result<Vec<u8>> {
    let mut photo = workshop.film("-i {patches} -q:v 2", "photo.jpg")?;
    // TIFF 6.0: little endian, one entry: orientation, one SHORT, 6.
    let tiff = [&b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0"[..], &[0; 4]].concat();
    let length = (2 + 6 + tiff.len() as u16).to_be_bytes();
    let exif = [&b"\xFF\xE1"[..], &length, b"Exif\0\0", &tiff].concat();
    photo.splice(2..2, exif);
    Ok(photo)
}

fn upright(seen: &Seen) -> anyhow::Result<String> {
    Ok(seen.picture()?.patches())
}

fn frames_of_png(seen: &Seen) -> anyhow::Result<String> {
    let bytes = seen.bytes()?;
    let frames = bytes.windows(4).filter(|chunk| chunk == b"fcTL").count();
    Ok(if bytes.starts_with(b"\x89PNG") { format!("{frames} frames") } else { "no PNG".to_owned() })
}

/// A TIFF whose directories have these entries before those that a picture of 16 x 16 grey pixels needs.
fn tiff(pages: u32, extra: &[[u16; 6]]) -> Vec<u8> {
    const SIDE: u32 = 16;
    let mut file = b"II*\0\x08\0\0\0".to_vec();
    for page in 1..=pages {
        let entries: Vec<[u32; 4]> =
            [[256, 3, 1, SIDE], [257, 3, 1, SIDE], [258, 3, 1, 8], [259, 3, 1, 1], [262, 3, 1, 1]]
                .into_iter()
                .chain([[273, 4, 1, 0], [277, 3, 1, 1], [278, 3, 1, SIDE], [279, 4, 1, SIDE * SIDE]])
                .collect();
        let count = entries.len() + extra.len();
        let pixels = file.len() as u32 + 2 + 12 * count as u32 + 4;
        file.extend((count as u16).to_le_bytes());
        for [tag, kind, number, value] in entries {
            let value = if tag == 273 { pixels } else { value };
            file.extend([(tag as u16).to_le_bytes(), (kind as u16).to_le_bytes()].concat());
            file.extend([number.to_le_bytes(), value.to_le_bytes()].concat());
        }
        for entry in extra {
            file.extend(entry.iter().flat_map(|word| word.to_le_bytes()));
        }
        let next = if page == pages { 0 } else { pixels + SIDE * SIDE };
        file.extend(next.to_le_bytes());
        file.extend((0..SIDE * SIDE).map(|at| (at * page) as u8));
    }
    file
}

#[expect(clippy::unnecessary_wraps, reason = "all inputs are built alike")]
fn two_pages(_: &Workshop) -> anyhow::Result<Vec<u8>> {
    Ok(tiff(2, &[]))
}

fn tells_of_pages(seen: &Seen) -> anyhow::Result<String> {
    let plan = seen.plan();
    Ok(if plan.contains("2 pages") { "the plan tells of 2 pages".to_owned() } else { plan })
}

/// What every DNG has: a TIFF with the tag DNGVersion, 1.4.0.0.
#[expect(clippy::unnecessary_wraps, reason = "all inputs are built alike")]
fn raw(_: &Workshop) -> anyhow::Result<Vec<u8>> {
    Ok(tiff(1, &[[50_706, 1, 4, 0, 0x0401, 0]]))
}
