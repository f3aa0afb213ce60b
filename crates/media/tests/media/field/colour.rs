//! Colours and transparency: untagged, wide and high dynamic range, laid on a ground or kept.

use std::path::Path;

use reelhook_testkit::{field, verdict};
use serde_json::{Value, json};

use crate::clips::{Shown, ffmpeg, near, picture, told};
use crate::rig::Rig;

const RED: [u8; 3] = [255, 0, 0];
const GREEN: [u8; 3] = [0, 200, 0];
const YELLOW: [u8; 3] = [200, 200, 0];

/// A clip of four patches (red, green, yellow, grey) whose numbers are those of a matrix, with or without tags.
fn patches(path: &Path, size: &str, matrix: &str, tags: &str, codec: &str) {
    let (width, height) = size.split_once('x').expect("a size");
    let (half, quarter) = ("iw/2", "ih/2");
    let boxes = format!(
        "color=0x808080:s={width}x{height}:r=25:d=1,format=gbrp,drawbox=x=0:y=0:w={half}:h={quarter}:color=0xff0000:t=fill,\
         drawbox=x=iw/2:y=0:w={half}:h={quarter}:color=0x00c800:t=fill,\
         drawbox=x=0:y=ih/2:w={half}:h={quarter}:color=0xc8c800:t=fill,\
         scale=out_color_matrix={matrix}:out_range=tv:flags=accurate_rnd+full_chroma_int,format=yuv420p,{tags}"
    );
    drawn(&boxes, &format!("-c:v {codec}"), path);
}

/// Draws a clip. Not through the device `lavfi`, which passes no colour tags on.
fn drawn(graph: &str, encoder: &str, path: &Path) {
    ffmpeg(&format!("-filter_complex {graph}[v] -map [v] {encoder} {{}}"), &[path]);
}

/// Tags are taken away, so that the file says nothing of its colours.
const UNTAGGED: &str = "setparams=range=unknown:colorspace=unknown:color_primaries=unknown:color_trc=unknown";
const X264: &str = "libx264 -preset ultrafast -qp 8";

/// The four patches of a picture.
fn seen(shown: &Shown) -> [[u8; 4]; 4] {
    [(0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75)].map(|place| shown.at(place))
}

fn tags(path: &Path) -> String {
    ["color_space", "color_transfer", "color_primaries"].map(|entry| told(path, entry)).join(" ")
}

/// A recipe makes the patches of a clip as they are.
async fn keeps_patches(rig: &Rig, kind: &str, input: &Path, what: &str, recipe: Value, expected_tags: Option<&str>) {
    let made = rig.make(input, recipe.clone()).await.unwrap_or_else(|error| panic!("{what}: {recipe}: {error:?}"));
    let colors = seen(&picture(&made.path, 0.0));
    let right = [RED, GREEN, YELLOW, [128, 128, 128]];
    let holds = colors.iter().zip(right).all(|(&color, right)| near(color, right, 8));
    let found = expected_tags.map_or_else(String::new, |_| tags(&made.path));
    let tagged = expected_tags.is_none_or(|expected| found == expected);
    let words = |tags: &str| format!("red, green, yellow and grey as they were {tags}");
    verdict(
        kind,
        format!("{what}: {}", recipe_words(&recipe)),
        words(expected_tags.unwrap_or("")),
        format!("{:?} {found}", colors.map(|[r, g, b, _]| [r, g, b])),
        holds && tagged,
    );
}

fn recipe_words(recipe: &Value) -> String {
    let field = |name: &str| recipe.get(name).and_then(Value::as_str).unwrap_or("").to_owned();
    format!("{} {} {}", field("recipe"), field("format"), field("codec")).trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn untagged_video_is_taken_for_what_its_size_says() {
    let rig = Rig::new().await;
    let kind = "M3 video without colour tags";
    let cases = [
        ("720 lines", "1280x720", "bt709", "mp4", "bt709 bt709 bt709"),
        ("portrait of 1280 lines", "720x1280", "bt709", "mkv", "bt709 bt709 bt709"),
        ("wide of 536 lines", "1280x536", "bt709", "mp4", "bt709 bt709 bt709"),
        ("480 lines", "640x480", "bt601", "mp4", "smpte170m smpte170m smpte170m"),
        ("576 lines", "720x576", "bt601", "mkv", "bt470bg smpte170m bt470bg"),
    ];
    for (what, size, matrix, extension, tags) in cases {
        let input = rig.clip(&format!("{size}.{extension}"));
        patches(&input, size, matrix, UNTAGGED, X264);
        for format in ["jpg", "png", "webp"] {
            let recipe = json!({"recipe": "thumbnail", "at_seconds": 0.3, "format": format});
            keeps_patches(&rig, kind, &input, what, recipe, None).await;
        }
        keeps_patches(&rig, kind, &input, what, json!({"recipe": "convert", "format": "gif", "width": 320}), None)
            .await;
        for recipe in [
            json!({"recipe": "convert", "format": "mp4", "resolution": "480p"}),
            json!({"recipe": "convert", "format": "webm", "resolution": "480p", "quality": "economy"}),
            json!({"recipe": "compress", "codec": "h265", "crf": 20}),
        ] {
            keeps_patches(&rig, kind, &input, what, recipe, Some(tags)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_field_clip_without_tags_keeps_its_red() {
    let rig = Rig::new().await;
    for format in ["jpg", "png", "webp"] {
        let recipe = json!({"recipe": "thumbnail", "at_seconds": 0.3, "format": format});
        let made = rig.make(&field("u709_720.mp4"), recipe).await.expect("it is made");
        let shown = picture(&made.path, 0.0);
        let reds = shown.bounds(|[r, g, b, _]| r > 246 && g < 10 && b < 10);
        verdict(
            "M3 video without colour tags",
            format!("the chart in 720 lines: thumbnail {format}"),
            "a patch of pure red",
            format!("{}x{} pixels of it", reds.0, reds.1),
            reds.0 > 100 && reds.1 > 100,
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tagged_video_has_no_cast_in_any_still() {
    let rig = Rig::new().await;
    for (name, size, matrix, space) in [
        ("709", "1280x720", "bt709", "bt709"),
        ("2020", "640x360", "bt2020", "bt2020nc"),
        ("601", "640x360", "bt601", "smpte170m"),
    ] {
        let input = rig.clip(&format!("{name}.mp4"));
        let tags = format!("setparams=range=tv:colorspace={space}:color_primaries=bt709:color_trc=bt709");
        patches(&input, size, matrix, &tags, X264);
        for format in ["jpg", "png", "webp"] {
            let made = rig.make(&input, json!({"recipe": "thumbnail", "format": format})).await.expect("it is made");
            let [r, g, b, _] = seen(&picture(&made.path, 0.0))[3];
            verdict(
                "M21 a green cast in stills of tagged video",
                format!("grey in {space}: thumbnail {format}"),
                "grey 128 in all three",
                format!("({r}, {g}, {b})"),
                r.abs_diff(g) <= 1 && b.abs_diff(g) <= 1 && g.abs_diff(128) <= 2,
            );
        }
    }
    let made = rig.make(&field("grey709.mp4"), json!({"recipe": "thumbnail", "format": "webp"})).await.expect("made");
    let [r, g, b, _] = picture(&made.path, 0.0).at((0.5, 0.5));
    verdict(
        "M21 a green cast in stills of tagged video",
        "the grey ramp: thumbnail webp",
        "as much red and blue as green",
        format!("({r}, {g}, {b})"),
        r.abs_diff(g) <= 1 && b.abs_diff(g) <= 1,
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn joined_inputs_have_the_colours_of_one_matrix() {
    let rig = Rig::new().await;
    let (hd, sd) = (rig.clip("hd.mp4"), rig.clip("sd.mp4"));
    patches(&hd, "1280x720", "bt709", UNTAGGED, X264);
    patches(&sd, "640x360", "bt601", UNTAGGED, X264);
    for (what, inputs) in [("HD then SD", [&*hd, &*sd]), ("SD then HD", [&*sd, &*hd])] {
        let made = rig.join(&inputs, json!({"recipe": "concat", "format": "mp4"})).await.expect("joined");
        let (first, second) = (seen(&picture(&made.path, 0.2)), seen(&picture(&made.path, 1.4)));
        let holds = first.iter().chain(&second).zip([RED, GREEN, YELLOW, [128; 3]].iter().cycle());
        let holds = holds.clone().all(|(&color, &right)| near(color, right, 10));
        verdict(
            "M3 video without colour tags",
            format!("{what}: concat"),
            "both parts as they were, tagged bt709",
            format!("{:?} and {:?}, {}", first[0], second[0], tags(&made.path)),
            holds && tags(&made.path) == "bt709 bt709 bt709",
        );
    }
}

/// A clear ground with a box of red, and a square of half-clear blue; what is hidden is white.
fn translucent(path: &Path, codec: &str) {
    let graph = "color=white:s=128x64:r=25:d=1,format=rgba,\
        geq=r=if(lt(X\\,32)\\,255\\,if(between(X\\,64\\,95)\\,0\\,255)):g=if(lt(X\\,32)\\,0\\,if(between(X\\,64\\,95)\\,0\\,255)):\
        b=if(lt(X\\,32)\\,0\\,255):a=if(lt(X\\,32)\\,255\\,if(between(X\\,64\\,95)\\,128\\,0))";
    let graph = graph.replace("        ", "");
    drawn(&graph, codec, path);
}

const SOLID: (f64, f64) = (0.12, 0.5);
const HALF: (f64, f64) = (0.62, 0.5);
const CLEAR: (f64, f64) = (0.38, 0.5);

fn translucent_sources() -> [(&'static str, &'static str, &'static str); 4] {
    [
        ("VP9 in webm", "a.webm", "-c:v libvpx-vp9 -pix_fmt yuva420p -crf 10 -b:v 0 -auto-alt-ref 0"),
        ("VP8 in webm", "b.webm", "-c:v libvpx -pix_fmt yuva420p -crf 10 -b:v 2M -auto-alt-ref 0"),
        ("ProRes 4444 in mov", "c.mov", "-c:v prores_ks -profile:v 4 -pix_fmt yuva444p10le"),
        ("QuickTime animation", "d.mov", "-c:v qtrle -pix_fmt argb"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn transparency_is_kept_where_the_format_has_it() {
    let rig = Rig::new().await;
    for (what, name, codec) in translucent_sources() {
        let input = rig.clip(name);
        translucent(&input, codec);
        for recipe in [
            json!({"recipe": "convert", "format": "webm"}),
            json!({"recipe": "convert", "format": "webm", "width": 64}),
            json!({"recipe": "convert", "format": "mkv", "codec": "vp9"}),
            json!({"recipe": "thumbnail", "format": "png"}),
            json!({"recipe": "thumbnail", "format": "webp"}),
            json!({"recipe": "thumbnail", "format": "png", "width": 64}),
        ] {
            let made = rig.make(&input, recipe.clone()).await.expect("it is made");
            let shown = picture(&made.path, 0.0);
            let [solid, half, clear] = [SOLID, HALF, CLEAR].map(|place| shown.at(place));
            let holds = solid[3] > 245 && half[3].abs_diff(128) < 16 && clear[3] < 12 && near(solid, [255, 0, 0], 24);
            verdict(
                "M5 transparency",
                format!("{what}: {} {}", recipe_words(&recipe), recipe.get("width").map_or("", |_| "at half the size")),
                "alpha 255, 128 and 0",
                format!("alpha {}, {} and {}", solid[3], half[3], clear[3]),
                holds && made.product.streams[0].reason.contains("transparency kept"),
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn transparency_is_laid_on_a_ground_elsewhere_and_hides_what_was_hidden() {
    let rig = Rig::new().await;
    for (what, name, codec) in translucent_sources() {
        let input = rig.clip(name);
        translucent(&input, codec);
        for (recipe, ground, half_clear) in [
            (json!({"recipe": "convert", "format": "mp4"}), [0, 0, 0], [0, 0, 128]),
            (json!({"recipe": "web_ready"}), [0, 0, 0], [0, 0, 128]),
            (json!({"recipe": "compress", "crf": 18, "codec": "h265"}), [0, 0, 0], [0, 0, 128]),
            (json!({"recipe": "thumbnail", "format": "jpg"}), [255, 255, 255], [127, 127, 255]),
        ] {
            let made = rig.make(&input, recipe.clone()).await.expect("it is made");
            let shown = picture(&made.path, 0.0);
            let [half, clear] = [HALF, CLEAR].map(|place| shown.at(place));
            verdict(
                "M5 transparency",
                format!("{what}: {}", recipe_words(&recipe)),
                format!("ground {ground:?}, half-clear blue {half_clear:?}"),
                format!("ground {clear:?}, half-clear blue {half:?}"),
                near(clear, ground, 14) && near(half, half_clear, 22),
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn deep_colour_is_kept_or_told() {
    let rig = Rig::new().await;
    let input = rig.clip("ten.mp4");
    ffmpeg(
        "-f lavfi -i testsrc2=s=320x180:r=25:d=1,format=yuv420p10le -c:v libx265 -preset ultrafast -x265-params log-level=error {}",
        &[&input],
    );
    for (recipe, layout, words) in [
        (json!({"recipe": "convert", "format": "mp4", "codec": "h265"}), "yuv420p10le", "10 bits kept"),
        (json!({"recipe": "convert", "format": "mkv", "codec": "av1"}), "yuv420p10le", "10 bits kept"),
        (json!({"recipe": "convert", "format": "mp4"}), "yuv420p", "10 bits brought to 8"),
        (json!({"recipe": "convert", "format": "webm"}), "yuv420p", "10 bits brought to 8"),
    ] {
        let made = rig.make(&input, recipe.clone()).await.expect("it is made");
        let found = told(&made.path, "pix_fmt");
        verdict(
            "MG8 ten bits of standard range",
            format!("H.265 of 10 bits: {}", recipe_words(&recipe)),
            format!("{layout}, and the plan says: {words}"),
            format!("{found}: {}", made.product.streams[0].reason),
            found == layout && made.product.streams[0].reason.contains(words),
        );
    }
}

/// A grey of some cd/m2 in PQ, as a clip.
fn pq_grey(path: &Path, nits: f64, more: &str) {
    let y = (nits / 10_000.0_f64).powf(2610.0 / 16384.0);
    let (c1, c2, c3) = (3424.0 / 4096.0, 2413.0 / 128.0, 2392.0 / 128.0);
    let code = ((c1 + c2 * y) / (1.0 + c3 * y)).powf(2523.0 / 4096.0 * 128.0);
    grey(path, code, "smpte2084", more);
}

fn grey(path: &Path, code: f64, transfer: &str, more: &str) {
    let luma = (64.0 + 876.0 * code).round();
    let graph = format!(
        "color=black:s=128x64:r=25:d=1,format=yuv420p10le,geq=lum={luma}:cb=512:cr=512,\
         setparams=range=tv:colorspace=bt2020nc:color_primaries=bt2020:color_trc={transfer}"
    );
    drawn(&graph, &format!("-c:v libx265 -preset ultrafast -x265-params log-level=error:qp=4{more}"), path);
}

#[tokio::test(flavor = "multi_thread")]
async fn white_of_high_dynamic_range_is_near_white_of_standard_range() {
    let rig = Rig::new().await;
    let input = rig.clip("hdr.mp4");
    // HLG puts diffuse white at three quarters of its signal.
    let cases: [(&str, &str, Option<f64>, std::ops::RangeInclusive<u8>); 5] = [
        ("PQ, 203 cd/m2", "", Some(203.0), 220..=240),
        ("PQ, 203 cd/m2 graded at 4000", ":max-cll=4000,400", Some(203.0), 212..=240),
        ("PQ, 1000 cd/m2", "", Some(1000.0), 250..=255),
        ("PQ, 26 cd/m2", "", Some(26.0), 100..=116),
        ("HLG, 75 %", "", None, 220..=240),
    ];
    for (what, more, nits, expected) in cases {
        match nits {
            Some(nits) => pq_grey(&input, nits, more),
            None => grey(&input, 0.75, "arib-std-b67", more),
        }
        for recipe in [
            json!({"recipe": "convert", "format": "mp4"}),
            json!({"recipe": "thumbnail", "format": "png"}),
            json!({"recipe": "convert", "format": "gif"}),
        ] {
            let made = rig.make(&input, recipe.clone()).await.expect("it is made");
            let [r, g, b, _] = picture(&made.path, 0.0).at((0.5, 0.5));
            verdict(
                "MG12 high dynamic range to standard",
                format!("{what}: {}", recipe_words(&recipe)),
                format!("{} to {} of 255", expected.start(), expected.end()),
                format!("({r}, {g}, {b})"),
                expected.contains(&g) && r.abs_diff(g) <= 2 && b.abs_diff(g) <= 2,
            );
        }
    }
}

/// What accompanies the first frame of a file, in ffprobe's words.
fn accompanying(path: &Path) -> String {
    let arguments = [
        "-v",
        "error",
        "-select_streams",
        "v",
        "-read_intervals",
        "%+#1",
        "-show_frames",
        "-show_entries",
        "frame=side_data_list:frame_side_data_list",
        "-of",
        "compact",
        "{}",
    ];
    String::from_utf8_lossy(&crate::clips::tool("ffprobe", &arguments, &[path]).stdout).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn light_levels_stay_with_high_dynamic_range_and_leave_with_it() {
    let rig = Rig::new().await;
    let other = rig.clip("other.mkv");
    let display =
        ":master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(40000000,50):max-cll=3200,180";
    pq_grey(&other, 300.0, display);
    for (what, input, content) in [("the clip of 1000 cd/m2", field("pq.mp4"), 1000), ("in mkv, of 4000", other, 3200)]
    {
        for recipe in [
            json!({"recipe": "convert", "format": "mp4", "codec": "h265"}),
            json!({"recipe": "convert", "format": "mkv", "codec": "av1"}),
            json!({"recipe": "compress", "codec": "h265"}),
        ] {
            let made = rig.make(&input, recipe.clone()).await.expect("it is made");
            let said = accompanying(&made.path);
            let holds = said.contains(&format!("max_content={content}")) && said.contains("max_luminance=");
            verdict(
                "M22 light levels of high dynamic range",
                format!("{what}: {}", recipe_words(&recipe)),
                format!("mastering display, MaxCLL {content}"),
                if holds { "both".to_owned() } else { said },
                holds && made.receipt.checks.iter().any(|check| check.name == "light"),
            );
        }
        let made = rig.make(&input, json!({"recipe": "convert", "format": "mp4"})).await.expect("it is made");
        let said = accompanying(&made.path);
        assert!(!said.contains("max_luminance="), "standard range has no light levels: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wide_colours_of_standard_range_are_not_pale_in_stills() {
    let rig = Rig::new().await;
    let input = rig.clip("wide.mp4");
    let graph = "color=0xff0000:s=128x64:r=25:d=1,format=gbrp,zscale=pin=bt709:tin=bt709:min=gbr:p=bt2020:t=bt2020-10:m=bt2020nc:r=tv,format=yuv420p10le";
    drawn(graph, "-c:v libx265 -preset ultrafast -x265-params log-level=error:qp=4", &input);
    for format in ["jpg", "png", "webp"] {
        let made = rig.make(&input, json!({"recipe": "thumbnail", "format": format})).await.expect("it is made");
        let color = picture(&made.path, 0.0).at((0.5, 0.5));
        verdict(
            "M3 video without colour tags",
            format!("BT.2020 of standard range: thumbnail {format}"),
            "red as it was",
            format!("{color:?}"),
            near(color, [255, 0, 0], 8),
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gif_has_the_colours_of_its_last_picture_too() {
    let rig = Rig::new().await;
    let input = rig.clip("slides.mp4");
    drawn(
        "color=0xb01020:s=160x90:r=10:d=1[a];color=0x20a040:s=160x90:r=10:d=1[b];[a][b]concat,format=yuv420p",
        "-c:v libx264 -qp 8",
        &input,
    );
    for recipe in
        [json!({"recipe": "convert", "format": "gif"}), json!({"recipe": "convert", "format": "gif", "frame_rate": 5})]
    {
        let made = rig.make(&input, recipe.clone()).await.expect("it is made");
        let [first, last] = [0.5, 1.5].map(|second| picture(&made.path, second).at((0.5, 0.5)));
        verdict(
            "M10 a GIF of uneven video",
            format!("two slides, red and green: {recipe}"),
            "red, then green",
            format!("{first:?}, then {last:?}"),
            near(first, [0xb0, 0x10, 0x20], 10) && near(last, [0x20, 0xa0, 0x40], 10),
        );
    }
}
