//! The service's starter presets, under names of ours: what a request leaves out is taken from the preset.

use serde_json::{Value, json};

/// All of them: name, and what a request with it says.
fn all() -> Vec<(&'static str, Value)> {
    let recipe =
        |recipe: Value, format: &str| json!({"mode": "recipe", "recipe": recipe, "output": {"format": format}});
    vec![
        ("web-ready-mp4", recipe(json!({"name": "webReady"}), "mp4")),
        ("web-ready-720p", recipe(json!({"name": "webReady", "scaleDown": true, "height": 720}), "mp4")),
        ("edit-proxy-1080p", recipe(json!({"name": "proxy", "scaleDown": true, "height": 1080}), "mp4")),
        (
            "edit-proxy-720p",
            recipe(json!({"name": "proxy", "scaleDown": true, "height": 720, "gop": "all_intra"}), "mp4"),
        ),
        ("compress-video", recipe(json!({"name": "compress", "crf": 28}), "mp4")),
        ("extract-audio", recipe(json!({"name": "extractAudio"}), "mp3")),
        ("thumbnail", recipe(json!({"name": "thumbnail", "seekSeconds": 1}), "jpg")),
        ("resize-hd", recipe(json!({"name": "resize", "width": 1280, "height": 720}), "mp4")),
        ("merge-audio", recipe(json!({"name": "concat"}), "mp3")),
        ("merge-video", recipe(json!({"name": "concat"}), "mp4")),
        (
            "gif-preview",
            json!({
                "mode": "ffmpeg",
                "ffmpeg": {"args": [
                    "-i", "{{input}}", "-an", "-filter_complex",
                    "fps=8,scale=320:-2:flags=lanczos,split[a][b];[a]palettegen[p];[b][p]paletteuse", "{{output}}"
                ]},
                "output": {"format": "gif"},
            }),
        ),
    ]
}

/// Puts what the preset says into `request` where that says nothing.
///
/// # Errors
/// The names that there are.
pub(super) fn apply(request: &mut Value, id: &str) -> Result<(), String> {
    let name = id.strip_prefix("preset_").unwrap_or(id);
    let mut all = all();
    let Some(at) = all.iter().position(|(known, _)| *known == name) else {
        let names: Vec<_> = all.iter().map(|(name, _)| *name).collect();
        return Err(format!("is not a preset of this server; there are {}", names.join(", ")));
    };
    let (Value::Object(preset), Value::Object(request)) = (all.swap_remove(at).1, request) else { return Ok(()) };
    for (field, value) in preset {
        // With several files the command's own outputs stand.
        if request.get(&field).is_none_or(Value::is_null) {
            request.insert(field, value);
        }
    }
    Ok(())
}
