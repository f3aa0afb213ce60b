//! Colours: the same after as before, and said.

use crate::commands::selftest::case::{Case, Input, Right};
use crate::commands::selftest::seen::Seen;

/// HD video whose numbers are those of BT.709, and which does not say so.
const UNTAGGED: &str = "-loop 1 -framerate 25 -i {patches} -t 1 \
    -vf scale=1280:720:flags=neighbor:out_color_matrix=bt709:out_range=tv,format=yuv420p,\
setparams=range=unknown:color_primaries=unknown:color_trc=unknown:colorspace=unknown \
    -c:v libx264 -preset ultrafast -crf 10";

/// HDR10 with the screen that it was made on, and how bright it gets.
const HDR10: &str = "-f lavfi -i testsrc2=size=320x180:rate=25:duration=1 \
    -vf format=yuv420p10le,setparams=range=tv:color_primaries=bt2020:color_trc=smpte2084:colorspace=bt2020nc \
    -c:v libx265 -preset ultrafast -color_primaries bt2020 -color_trc smpte2084 -colorspace bt2020nc \
    -x265-params log-level=error:hdr10=1:repeat-headers=1:max-cll=1000,400:\
master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)";

pub(super) const CASES: &[Case] = &[
    Case {
        group: "colour",
        name: "A thumbnail of HD video that does not say its colours has the right ones",
        file: "camera.mp4",
        input: Input::Ffmpeg(UNTAGGED),
        recipe: r#"{"recipe": "thumbnail", "format": "png", "width": 640}"#,
        right: Right::Made { expected: "640x360: red green / blue yellow", by: "pixels", got: patches },
    },
    Case {
        group: "colour",
        name: "The same video as 480p mp4 has them too, and says so",
        file: "camera.mp4",
        input: Input::Ffmpeg(UNTAGGED),
        recipe: r#"{"recipe": "convert", "format": "mp4", "resolution": "480p", "quality": "premium"}"#,
        right: Right::Made {
            expected: "red green / blue yellow, bt709 bt709 bt709 tv",
            by: "pixels, ffprobe",
            got: tagged,
        },
    },
    Case {
        group: "colour",
        name: "HDR10 as h265 keeps what it says of its light",
        file: "hdr.mp4",
        input: Input::Ffmpeg(HDR10),
        recipe: r#"{"recipe": "convert", "format": "mp4", "codec": "h265", "quality": "economy"}"#,
        right: Right::Made {
            expected: "smpte2084, yuv420p10le, mastered to 1000 cd/m2, MaxCLL 1000",
            by: "ffprobe",
            got: light,
        },
    },
    Case {
        group: "colour",
        name: "A transparent VP9 webm stays transparent",
        file: "sticker.webm",
        input: Input::Ffmpeg(
            "-loop 1 -framerate 10 -i {patches} -t 1 -vf format=yuva420p,geq=lum=lum(X\\,Y):cb=cb(X\\,Y):cr=cr(X\\,Y):a=255*lt(X\\,W/2) \
             -c:v libvpx-vp9 -pix_fmt yuva420p -auto-alt-ref 0 -deadline realtime -cpu-used 8",
        ),
        recipe: r#"{"recipe": "convert", "format": "webm", "quality": "economy"}"#,
        right: Right::Made { expected: "opaque left, clear right", by: "pixels, decoded by libvpx", got: halves },
    },
];

fn patches(seen: &Seen) -> anyhow::Result<String> {
    Ok(seen.picture()?.patches())
}

fn tagged(seen: &Seen) -> anyhow::Result<String> {
    let patches = seen.picture()?.patches();
    let colours = patches.split_once(": ").map_or(&*patches, |(_, colours)| colours);
    let said = ["color_space", "color_primaries", "color_transfer", "color_range"].map(|field| seen.video(field));
    let said = said.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
    Ok(format!("{colours}, {}", said.join(" ")))
}

fn light(seen: &Seen) -> anyhow::Result<String> {
    let told = seen.probe("-select_streams v:0 -show_frames -read_intervals %+#1")?;
    let sides = told["frames"][0]["side_data_list"].as_array().cloned().unwrap_or_default();
    let side =
        |key: &str| sides.iter().map(|side| side[key].clone()).find(|value| !value.is_null()).unwrap_or_default();
    // A fraction, such as 10000000/10000.
    let fraction = side("max_luminance").as_str().map(str::to_owned).unwrap_or_default();
    let luminance =
        fraction.split_once('/').and_then(|(over, under)| Some(over.parse::<f64>().ok()? / under.parse::<f64>().ok()?));
    Ok(format!(
        "{}, {}, mastered to {} cd/m2, MaxCLL {}",
        seen.video("color_transfer")?,
        seen.video("pix_fmt")?,
        luminance.map_or_else(|| "unknown".to_owned(), |luminance| luminance.round().to_string()),
        side("max_content"),
    ))
}

fn halves(seen: &Seen) -> anyhow::Result<String> {
    Ok(seen.picture_with_alpha("-c:v libvpx-vp9")?.halves())
}
