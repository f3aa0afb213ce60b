//! Commands that try to read or write elsewhere, against the running program: none of them becomes a job.

use serde_json::json;

use crate::world::{Serve, World};

/// Each has an argument that would open something else.
const HOSTILE: &[&str] = &[
    "-i /etc/passwd {{output}}",
    "-i file:/etc/passwd {{output}}",
    "-i http://169.254.169.254/latest {{output}}",
    "-i concat:/etc/passwd|/etc/hosts {{output}}",
    "-i subfile,,start,0,end,64,,:/etc/passwd {{output}}",
    "-i data:text/plain,x {{output}}",
    "-i crypto:file:/etc/passwd {{output}}",
    "-i pipe:0 {{output}}",
    "-i - {{output}}",
    "-f lavfi -i movie=/etc/passwd {{output}}",
    "-f concat -safe 0 -i {{input}} {{output}}",
    "-protocol_whitelist file,http,tcp -i {{input}} {{output}}",
    "-i {{input}} /tmp/elsewhere.mp4",
    "-i {{input}} file:elsewhere.mp4",
    "-i {{input}} tcp://127.0.0.1:9",
    "-i {{input}} -f tee [f=mp4]/tmp/a|[f=mp4]/tmp/b",
    "-i {{input}} -f tee {{output}}",
    "-i {{input}} -f segment {{output}}",
    "-i {{input}} -f segment -segment_list /tmp/x seg%d.ts",
    "-i {{input}} -f hls -hls_segment_filename /tmp/x%d.ts {{output}}",
    "-i {{input}} -vf movie=/etc/passwd {{output}}",
    "-i {{input}} -filter_complex amovie=/etc/passwd[a] -map [a] {{output}}",
    "-i {{input}} -vf subtitles=/etc/passwd {{output}}",
    "-i {{input}} -vf ass=/etc/passwd {{output}}",
    "-i {{input}} -vf drawtext=textfile=/etc/passwd {{output}}",
    "-i {{input}} -vf drawtext=fontfile=/etc/passwd:text=x {{output}}",
    "-i {{input}} -vf lut3d=file=/etc/passwd {{output}}",
    "-i {{input}} -vf sendcmd=f=/etc/passwd {{output}}",
    "-i {{input}} -vf metadata=mode=print:file=/tmp/x {{output}}",
    "-i {{input}} -vf vidstabdetect=result=/tmp/x {{output}}",
    "-i {{input}} -vf vidstabtransform=input=/etc/passwd {{output}}",
    "-i {{input}} -vf frei0r=/tmp/x.so {{output}}",
    "-i {{input}} -af ladspa=file=/tmp/x.so {{output}}",
    "-i {{input}} -vf zmq {{output}}",
    "-i {{input}} -af azmq=bind_address=tcp\\://127.0.0.1\\:9 {{output}}",
    "-i {{input}} -attach /etc/passwd {{output}}",
    "-dump_attachment:t:0 /tmp/x -i {{input}} {{output}}",
    "-i {{input}} -filter_complex_script /etc/passwd {{output}}",
    "-i {{input}} -filter_script:v /etc/passwd {{output}}",
    "-i {{input}} -/filter:v /etc/passwd {{output}}",
    "-i {{input}} -/filter_complex /etc/passwd {{output}}",
    "-i {{input}} -pass 1 -passlogfile /tmp/x {{output}}",
    "-i {{input}} -vstats_file /tmp/x {{output}}",
    "-report -i {{input}} {{output}}",
    "-progress http://127.0.0.1:9/ -i {{input}} {{output}}",
    "-progress /tmp/x -i {{input}} {{output}}",
    "-i {{input}} -x264-params stats=/tmp/x {{output}}",
    "-i {{input}} -vpre /etc/passwd {{output}}",
];

#[tokio::test]
async fn commands_that_reach_elsewhere_are_refused_before_there_is_a_job() {
    let world = World::start(Serve::dev()).await;
    for line in HOSTILE {
        let args: Vec<_> = line.split(' ').collect();
        let input = json!({"url": "https://example.com/a.mp4"});
        let body = json!({"mode": "ffmpeg", "input": input, "output": {"format": "mp4"}, "ffmpeg": {"args": args}});
        let refused = world.post("/xora/v1/jobs", &body).await.expect(400);
        assert_eq!(refused["error"]["code"], "UNSUPPORTED_COMMAND", "{line}: {refused}");
        assert_eq!(refused["error"]["retryable"], false);
        // The same command in the native API.
        let output = json!({"recipe": "ffmpeg", "args": args});
        let native = world.post("/v1/jobs", &json!({"input": input, "outputs": [output]})).await;
        assert!(matches!(native.status, 400 | 422), "{line}: {native:?}");
    }
    assert_eq!(world.get("/v1/jobs").await.expect(200)["jobs"], json!([]));
}
