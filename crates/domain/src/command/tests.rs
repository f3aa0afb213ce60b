//! Commands as callers write them, commands that try to reach elsewhere, and properties of all that is accepted.

use proptest::prelude::*;

use super::*;

fn parse(line: &str) -> Result<Command, Unsupported> {
    Command::parse(&line.split(' ').map(str::to_owned).collect::<Vec<_>>())
}

/// A command as it is spelled, its files by their names.
fn spelled(command: &Command) -> String {
    let mut words = Vec::new();
    for input in &command.inputs {
        words.extend(input.options.iter().cloned());
        words.push(format!("-i <{}>", input.name));
    }
    words.extend(command.options.iter().cloned());
    for output in &command.outputs {
        words.extend(output.options.iter().cloned());
        words.push(format!("<{}>", output.name));
    }
    words.join(" ")
}

#[test]
fn common_commands_are_read_and_spelled_anew() {
    for (line, expected) in [
        ("-i {{input}} {{output}}", "-i <input> <output>"),
        (
            "-y -hide_banner -ss 00:00:05 -i {{input}} -t 10 -c:v libx264 -crf 23 -preset fast -c:a aac -b:a 128k -movflags \
             +faststart {{output}}",
            "-ss 00:00:05 -i <input> -t 10 -c:v libx264 -crf 23 -preset fast -c:a aac -b:a 128k -movflags +faststart <output>",
        ),
        (
            "-i {{in_video}} -i {{in_logo}} -filter_complex [0:v][1:v]overlay=W-w-10:H-h-10[v] -map [v] -map 0:a? {{output}}",
            "-i <in_video> -i <in_logo> -filter_complex [0:v][1:v]overlay='x=W-w-10:y=H-h-10'[v] -map [v] -map 0:a? <output>",
        ),
        (
            "-i {{input}} -vf fps=8,scale=320:-1:flags=lanczos -loop 0 {{output}}",
            "-i <input> -filter:v fps='fps=8',scale='w=320:h=-1:flags=lanczos' -loop 0 <output>",
        ),
        (
            "-i {{input}} -vn -acodec libmp3lame -q:a 2 {{out_sound}} -ss 1 -vframes 1 {{out_still}}",
            "-i <input> -vn -c:a libmp3lame -q:a 2 <out_sound> -ss 1 -frames:v 1 <out_still>",
        ),
        ("-vsync 0 -i {{input}} -an {{output}}", "-i <input> -fps_mode passthrough -an <output>"),
        ("-loop 1 -i {{in_a}} -i {{in_b}} -shortest {{output}}", "-loop 1 -i <in_a> -i <in_b> -shortest <output>"),
        (
            "-i {{input}} -x264-params keyint=60:bframes=2 -f mp4 {{output}}",
            "-i <input> -x264-params keyint=60:bframes=2 <output>",
        ),
    ] {
        let command = parse(line).unwrap_or_else(|why| panic!("{line}: {why}"));
        assert_eq!(spelled(&command), expected);
    }
}

/// Each tries to read or write where it should not, or to have the tool do something else than make media.
const HOSTILE: &[&str] = &[
    "-i /etc/passwd {{output}}",
    "-i file:/etc/passwd {{output}}",
    "-i http://169.254.169.254/latest/meta-data {{output}}",
    "-i concat:/etc/passwd|/etc/hosts {{output}}",
    "-i subfile,,start,0,end,100,,:/etc/passwd {{output}}",
    "-i data:text/plain,x {{output}}",
    "-i pipe:0 {{output}}",
    "-i - {{output}}",
    "-i crypto:x {{output}}",
    "-i {{output}} {{output}}",
    "-i {{input}}/../x {{output}}",
    "-i file:{{input}} {{output}}",
    "-i {{../x}} {{output}}",
    "-f lavfi -i {{input}} {{output}}",
    "-f concat -safe 0 -i {{input}} {{output}}",
    "-f hls -i {{input}} {{output}}",
    "-f image2 -pattern_type glob -i {{input}} {{output}}",
    "-f x11grab -i {{input}} {{output}}",
    "-f v4l2 -i {{input}} {{output}}",
    "-i {{input}} /tmp/out.mp4",
    "-i {{input}} out.mp4",
    "-i {{input}} file:out.mp4",
    "-i {{input}} {{output}}.mp4",
    "-i {{input}} tcp://127.0.0.1:80",
    "-i {{input}} -",
    "-i {{input}} pipe:1",
    "-i {{input}} {{input}}",
    "-i {{input}} -f tee {{output}}",
    "-i {{input}} -f segment {{output}}",
    "-i {{input}} -f hls -hls_segment_filename /tmp/x {{output}}",
    "-i {{input}} -f dash {{output}}",
    "-i {{input}} -f image2 -update 1 /tmp/x.png {{output}}",
    "-i {{input}} -f rtp {{output}}",
    "-i {{input}} -f alsa {{output}}",
    "-i {{input}} -f ffmetadata {{output}}",
    "-protocol_whitelist file,http -i {{input}} {{output}}",
    "-dump_attachment:t:0 /tmp/x -i {{input}} {{output}}",
    "-i {{input}} -attach /etc/passwd {{output}}",
    "-i {{input}} -vstats_file /tmp/x {{output}}",
    "-i {{input}} -vstats {{output}}",
    "-i {{input}} -pass 1 -passlogfile /tmp/x {{output}}",
    "-report -i {{input}} {{output}}",
    "-progress /tmp/x -i {{input}} {{output}}",
    "-progress http://127.0.0.1/ -i {{input}} {{output}}",
    "-i {{input}} -filter_script:v /etc/passwd {{output}}",
    "-filter_complex_script /etc/passwd -i {{input}} {{output}}",
    "-/filter_complex /etc/passwd -i {{input}} {{output}}",
    "-i {{input}} -/vf /etc/passwd {{output}}",
    "-init_hw_device vaapi=x:/dev/dri/card0 -i {{input}} {{output}}",
    "-hwaccel cuda -i {{input}} {{output}}",
    "-i {{input}} -vpre /etc/passwd {{output}}",
    "-i {{input}} -fpre /etc/passwd {{output}}",
    "-sdp_file /tmp/x -i {{input}} {{output}}",
    "-i {{input}} -map_metadata /etc/passwd {{output}}",
    "-i {{input}} -map /etc/passwd {{output}}",
    "-i {{input}} -sdp_file /tmp/x {{output}}",
    "-i {{input}} -vf movie=/etc/passwd {{output}}",
    "-i {{input}} -vf null,movie=filename=/etc/passwd[m] {{output}}",
    "-filter_complex amovie=/etc/passwd[a] -i {{input}} -map [a] {{output}}",
    "-i {{input}} -vf subtitles=/etc/passwd {{output}}",
    "-i {{input}} -vf subtitles={{input}} {{output}}",
    "-i {{input}} -vf ass=/etc/passwd {{output}}",
    "-i {{input}} -vf drawtext=textfile=/etc/passwd {{output}}",
    "-i {{input}} -vf drawtext=text=x:fontfile=/etc/passwd {{output}}",
    "-i {{input}} -vf lut3d=/etc/passwd {{output}}",
    "-i {{input}} -vf lut1d=file=/etc/passwd {{output}}",
    "-i {{input}} -vf haldclut {{output}}",
    "-i {{input}} -vf sendcmd=f=/etc/passwd {{output}}",
    "-i {{input}} -vf sendcmd=c='0 scale w 1' {{output}}",
    "-i {{input}} -vf metadata=mode=print:file=/tmp/x {{output}}",
    "-i {{input}} -af ametadata=mode=print:file=/tmp/x {{output}}",
    "-i {{input}} -vf zmq=bind_address=tcp\\://*\\:5555 {{output}}",
    "-i {{input}} -vf frei0r=/tmp/x.so {{output}}",
    "-i {{input}} -af ladspa=file=/tmp/x {{output}}",
    "-i {{input}} -af lv2=http\\://x {{output}}",
    "-i {{input}} -vf dnn_processing=model=/tmp/x {{output}}",
    "-i {{input}} -vf dnn_detect=model=/tmp/x {{output}}",
    "-i {{input}} -vf sr=model=/tmp/x {{output}}",
    "-i {{input}} -af arnndn=m=/tmp/x {{output}}",
    "-i {{input}} -af sofalizer=sofa=/etc/passwd {{output}}",
    "-i {{input}} -af asr=hmm=/tmp {{output}}",
    "-i {{input}} -vf signature=filename=/tmp/x {{output}}",
    "-i {{input}} -vf vidstabdetect=result=/tmp/x {{output}}",
    "-i {{input}} -vf vidstabtransform=input=/etc/passwd {{output}}",
    "-i {{input}} -vf deshake=filename=/tmp/x {{output}}",
    "-i {{input}} -vf curves=psfile=/etc/passwd {{output}}",
    "-i {{input}} -vf curves=plot=/tmp/x {{output}}",
    "-i {{input}} -vf libplacebo=custom_shader_path=/etc/passwd {{output}}",
    "-i {{input}} -vf program_opencl=source=/tmp/x {{output}}",
    "-i {{input}} -vf removelogo=/etc/passwd {{output}}",
    "-i {{input}} -vf find_rect=object=/etc/passwd {{output}}",
    "-i {{input}} -vf cover_rect=cover=/etc/passwd {{output}}",
    "-i {{input}} -vf psnr=stats_file=/tmp/x {{output}}",
    "-i {{input}} -vf libvmaf=log_path=/tmp/x {{output}}",
    "-i {{input}} -vf scale=/w=/etc/passwd {{output}}",
    "-i {{input}} -vf scale=1:1,nosuch=1 {{output}}",
    "-i {{input}} -vf select='print(1)' {{output}}",
    "-i {{input}} -vf geq='while(1,0)' {{output}}",
    "-i {{input}} -x264-params stats=/tmp/x {{output}}",
    "-i {{input}} -x264-params dump-yuv=/tmp/x {{output}}",
    "-i {{input}} -x264opts qpfile=/etc/passwd {{output}}",
    "-i {{input}} -x265-params csv=/tmp/x {{output}}",
    "-i {{input}} -x265-params analysis-save=/tmp/x {{output}}",
    "-i {{input}} -bsf:v trace_headers {{output}}",
    "-i {{input}} -c:v /tmp/x {{output}}",
    "-i {{input}} -metadata -y=1 {{output}}",
    "-i {{input}} -preset ../x {{output}}",
    "-i {{input}} -preset /etc/passwd {{output}}",
    "-i {{input}} -target pal-dvd {{output}}",
    "-i {{input}} -cpuflags 0 {{output}}",
    "-i {{input}} -f",
    "-i",
    "{{output}}",
    "-i {{input}}",
    "-i {{input}} {{output}} {{output}}",
    "-i {{input}} {{output}} -an",
    "-i {{input}} -stream_loop -1 {{output}}",
    "-filter_complex [7:v]null[v] -i {{input}} -map [v] {{output}}",
];

#[test]
fn commands_that_reach_elsewhere_are_refused_by_the_argument() {
    let mut accepted = Vec::new();
    for line in HOSTILE {
        match parse(line) {
            Ok(command) => accepted.push(format!("{line} as {}", spelled(&command))),
            Err(why) => {
                assert!(why.argument.is_empty() || line.contains(why.argument.trim_end_matches("...")), "{why}")
            }
        }
    }
    assert!(HOSTILE.len() > 60 && accepted.is_empty(), "{accepted:#?}");
}

/// Whether a word could make the tool open something: a path, a protocol, a device, a file of options.
fn opens_something(word: &str) -> bool {
    let lower = word.to_ascii_lowercase();
    let schemes =
        ["file:", "http:", "https:", "tcp:", "udp:", "pipe:", "concat:", "data:", "crypto:", "subfile", "fd:"];
    lower.contains("://")
        || lower.contains("..")
        || lower.starts_with('/')
        || lower.contains("=/")
        || lower.contains(":/")
        || lower.starts_with("-/")
        || schemes.iter().any(|scheme| lower.starts_with(scheme) || lower.contains(&format!("={scheme}")))
}

const OPTIONS: &[&str] = &[
    "-i",
    "-f",
    "-c:v",
    "-c",
    "-vf",
    "-af",
    "-filter_complex",
    "-map",
    "-map_metadata",
    "-ss",
    "-t",
    "-crf",
    "-preset",
    "-b:v",
    "-x264-params",
    "-x265-params",
    "-bsf:v",
    "-force_key_frames",
    "-movflags",
    "-s",
    "-r",
    "-aspect",
    "-loop",
    "-pix_fmt",
    "-disposition",
    "-tag:v",
    "-progress",
    "-report",
    "-y",
    "-an",
    "-passlogfile",
    "-attach",
    "-/vf",
    "-vsync",
];
const VALUES: &[&str] = &[
    "{{input}}",
    "{{output}}",
    "{{in_a}}",
    "{{out_a}}",
    "/etc/passwd",
    "file:/etc/passwd",
    "../x",
    "http://x/",
    "pipe:1",
    "concat:a|b",
    "1",
    "-1",
    "00:00:01",
    "1280x720",
    "libx264",
    "copy",
    "mp4",
    "0:v",
    "[v]",
    "slow",
    "red",
    "16:9",
];
const PIECES: &[&str] = &[
    "scale",
    "movie",
    "overlay",
    "drawtext",
    "curves",
    "null",
    "=",
    ":",
    ",",
    ";",
    "[0:v]",
    "[v]",
    "w",
    "h",
    "psfile",
    "filename",
    "/etc/passwd",
    "file",
    "\\:",
    "\\\\:",
    "'",
    "\\",
    "'\\''",
    "iw/2",
    "-1",
    "(",
    ")",
    "enable",
    "keyint=60",
    "stats",
    "..",
    "//",
    "|",
    "expr:",
    "@x",
    " ",
    "lanczos",
    "textfile",
    "1",
    "%",
    "{",
    "$(x)",
    "\n",
];

fn argument() -> impl Strategy<Value = String> {
    let one = |list: &'static [&'static str]| proptest::sample::select(list).prop_map(str::to_owned);
    let pieces = proptest::collection::vec(proptest::sample::select(PIECES), 1..10).prop_map(|pieces| pieces.concat());
    prop_oneof![4 => one(OPTIONS), 4 => one(VALUES), 4 => pieces, 1 => ".{0,12}"]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

    #[test]
    fn no_accepted_command_spells_a_path_or_a_protocol(middle in proptest::collection::vec(argument(), 0..8)) {
        let ends = |first: &[&str], last: &[&str]| {
            let text = |word: &&str| (*word).to_owned();
            first.iter().map(text).chain(middle.iter().cloned()).chain(last.iter().map(text)).collect::<Vec<_>>()
        };
        for args in [middle.clone(), ends(&["-i", "{{input}}"], &["{{output}}"])] {
            let Ok(command) = Command::parse(&args) else { continue };
            let options = command.inputs.iter().flat_map(|input| &input.options);
            let options = options.chain(&command.options);
            for word in options.chain(command.outputs.iter().flat_map(|output| &output.options)) {
                prop_assert!(!opens_something(word), "{word:?} of {args:?}");
                prop_assert!(!word.contains("movie=") && !word.contains("drawtext=") && !word.contains("psfile="), "{word:?}");
            }
            prop_assert!(command.inputs.iter().all(|input| is_input_name(&input.name)));
            prop_assert!(command.outputs.iter().all(|output| is_output_name(&output.name)));
        }
    }

    #[test]
    fn every_single_option_with_any_value_is_read_or_refused(option in proptest::sample::select(OPTIONS), value in ".{0,40}") {
        let args = ["-i", "{{input}}", option, &value, "{{output}}"].map(str::to_owned);
        if let Ok(command) = Command::parse(&args) {
            for word in command.options.iter().chain(&command.outputs[0].options) {
                prop_assert!(!opens_something(word), "{word:?}");
            }
        }
    }
}

#[test]
fn the_container_that_a_command_names_must_go_with_the_format() {
    let command = parse("-i {{input}} -f mp3 {{output}}").unwrap();
    assert!(command.outputs[0].goes_with(Format::Mp3) && !command.outputs[0].goes_with(Format::Mp4));
    assert!(parse("-i {{input}} {{output}}").unwrap().outputs[0].goes_with(Format::Mp4));
}

#[test]
fn an_input_without_end_is_read_where_something_else_ends() {
    for line in [
        "-stream_loop -1 -i {{input}} -c copy {{output}}",
        "-stream_loop -1 -i {{input}} -frames:v 5 {{output}}",
        "-stream_loop 100000 -i {{input}} {{output}}",
        "-stream_loop 1e9 -i {{input}} {{output}}",
        "-stream_loop 2M -i {{input}} {{output}}",
        "-stream_loop -2 -i {{input}} {{output}}",
        "-loop 1 -i {{input}} {{output}}",
        "-loop 1 -i {{input}} -shortest {{output}}",
        "-loop 1 -i {{in_a}} -stream_loop -1 -i {{in_b}} -shortest {{output}}",
        "-loop 1 -i {{in_a}} -i {{in_b}} -t 1 {{out_a}} -c:v libx264 {{out_b}}",
        "-stream_loop -1 -ss 5 -i {{input}} -ss 5 {{output}}",
    ] {
        let refused = parse(line).expect_err(line);
        assert!(refused.reason.contains("endless input"), "{line}: {refused}");
    }
    for line in [
        "-stream_loop -1 -i {{input}} -t 10 {{output}}",
        "-stream_loop -1 -t 10 -i {{input}} {{output}}",
        "-stream_loop -1 -i {{input}} -fs 1000000 {{output}}",
        "-stream_loop 3 -i {{input}} {{output}}",
        "-stream_loop -1 -i {{in_a}} -i {{in_b}} -shortest {{output}}",
        "-loop 1 -i {{input}} -frames:v 50 {{output}}",
        "-loop 1 -i {{in_a}} -i {{in_b}} -t 1 {{out_a}} -to 2 {{out_b}}",
    ] {
        parse(line).unwrap_or_else(|why| panic!("{line}: {why}"));
    }
}

#[test]
fn what_a_filter_may_keep_in_memory_is_bounded() {
    for graph in [
        "scale=100000:2",
        "scale=w=20k:h=20k",
        "scale=0x7fff:0x7fff",
        "pad=30000:30000",
        "pad=width=30000:height=30000",
        "zoompan=s=99999x99999",
        "zscale=s=20000x20000",
        "zscale=w=20000:h=20000",
        "loop=loop=-1:size=32767",
        "aloop=loop=-1:size=2e9",
        "tile=100x100",
        "tile=layout=99999x2",
        "split=5000",
    ] {
        assert!(parse(&format!("-i {{{{input}}}} -vf {graph} {{{{output}}}}")).is_err(), "{graph}");
    }
    for graph in ["color=size=999999x999999", "nullsrc=s=32000x32000", "hstack=inputs=1000", "xstack=inputs=500"] {
        assert!(parse(&format!("-i {{{{input}}}} -filter_complex {graph} {{{{output}}}}")).is_err(), "{graph}");
    }
    assert!(parse("-i {{input}} -s 100000x100000 {{output}}").is_err());
    for graph in ["scale=7680:4320", "scale=-2:2160", "scale=iw/2:-1", "pad=iw+10:ih", "tile=10x10", "loop=5:100"] {
        parse(&format!("-i {{{{input}}}} -vf {graph} {{{{output}}}}")).unwrap_or_else(|why| panic!("{graph}: {why}"));
    }
}
