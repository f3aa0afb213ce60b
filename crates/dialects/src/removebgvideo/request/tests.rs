//! What callers may say, and what becomes of it.

use super::*;

fn terms() -> Terms {
    let pairs = |pairs: &[(&str, u32)]| pairs.iter().map(|(name, rate)| ((*name).to_owned(), *rate)).collect();
    Terms {
        models: [("original", "chroma"), ("human", "portrait"), ("light", "forest:fast"), ("odd", "forest:softly")]
            .map(|(name, model)| (name.to_owned(), model.to_owned()))
            .into(),
        installed: vec!["chroma".to_owned(), "forest".to_owned()],
        credits_per_minute: pairs(&[("original", 60), ("light", 45), ("pro", 180), ("human", 45)]),
    }
}

fn asked(mut value: Value) -> Result<JobRequest, String> {
    value["video_url"] = "https://example.com/clip.mp4".into();
    said(value)
}

fn said(value: Value) -> Result<JobRequest, String> {
    job(value, &terms()).map_err(|violations| {
        let texts: Vec<_> = violations.iter().map(|v| format!("{} {}", v.path, v.message)).collect();
        texts.join("; ")
    })
}

fn recipe(value: Value) -> RemoveBackground {
    match asked(value).unwrap().outputs.remove(0).recipe {
        Recipe::RemoveBackground(recipe) => recipe,
        other => panic!("{other:?}"),
    }
}

#[test]
fn requests_become_jobs() {
    let said: Vec<_> = [
        json!({}),
        json!({"model": "original", "bg_type": "green", "output_format": "mp4"}),
        json!({"output_format": "mp4"}),
        json!({"bg_type": "custom", "bg_color": [0.5, 0, 1]}),
        json!({"bg_type": "color", "bg_color": [128, 0, 255]}),
        json!({"bg_type": "image", "bg_image_url": "https://example.com/beach.jpg"}),
        json!({"background": {"type": "color", "color": "#102030"}}),
        json!({"background": {"type": "image", "image_url": "https://example.com/beach.jpg"}, "bg_type": "green"}),
        json!({"composition": {"canvas": {"width": 1080, "height": 1920},
            "foreground": {"anchor": "top-left", "scale": 0.5, "offset": {"x": 10, "y": -20}}}}),
        json!({"model": "forest", "text_prompt": "the dog", "metadata": {"order": "7", "count": 2}, "extra": true,
            "auto_start": false, "webhook_url": "https://example.com/hook"}),
    ]
    .into_iter()
    .map(|value| {
        let said = value.to_string();
        format!("{said}\n{:#?}\n", asked(value).unwrap())
    })
    .collect();
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn a_name_may_stand_for_a_model_with_less_refinement() {
    let cut = |model| recipe(json!({"model": model}));
    assert_eq!((cut("light").model, cut("light").refine), ("forest".to_owned(), Refine::Fast));
    assert_eq!((cut("forest").model, cut("forest").refine), ("forest".to_owned(), Refine::Full));
    for missing in ["human", "pro", "odd"] {
        let refusal = asked(json!({"model": missing})).unwrap_err();
        assert!(refusal.starts_with("model is not installed") && refusal.contains("chroma, "), "{refusal}");
    }
}

#[test]
fn what_is_wrong_is_named_by_the_services_fields() {
    let refusals: Vec<_> = [
        said(json!({})),
        said(json!({"video_url": "clip.mp4"})),
        said(json!([])),
        asked(json!({"model": "pro"})),
        asked(json!({"model": "human"})),
        asked(json!({"model": 7})),
        asked(json!({"output_format": "mkv"})),
        asked(json!({"output_format": "mp4", "bg_type": "transparent"})),
        asked(json!({"output_format": "mp4", "background": {"type": "transparent"}})),
        asked(json!({"bg_type": "plaid"})),
        asked(json!({"bg_type": "color"})),
        asked(json!({"bg_type": "color", "bg_color": [1, 2]})),
        asked(json!({"bg_type": "color", "bg_color": [1, 2, 256]})),
        asked(json!({"bg_type": "color", "bg_color": [-0.1, 0, 0]})),
        asked(json!({"bg_type": "image"})),
        asked(json!({"background": {"type": "image"}})),
        asked(json!({"background": {"type": "color", "color": "red"}})),
        asked(json!({"background": "green"})),
        asked(json!({"composition": {"canvas": {"width": 9000}, "foreground": {"anchor": "middle", "scale": 0}}})),
        asked(json!({"auto_start": "no", "webhook_url": "nowhere", "metadata": []})),
    ]
    .into_iter()
    .map(|refused| refused.unwrap_err())
    .collect();
    insta::assert_snapshot!(refusals.join("\n"));
}

#[test]
fn a_color_is_normalised_when_none_of_its_numbers_is_above_one() {
    for (value, expected) in [
        (json!([0, 0, 0]), [0, 0, 0]),
        (json!([1, 1, 1]), [255, 255, 255]),
        (json!([1.0, 0.5, 0]), [255, 128, 0]),
        (json!([0.035, 0.635, 0.274]), [9, 162, 70]),
        (json!([255, 1, 0]), [255, 1, 0]),
        (json!([2, 1, 0]), [2, 1, 0]),
    ] {
        assert_eq!(rgb(&value), Some(Rgb(expected)), "{value}");
    }
}

#[test]
fn the_object_wins_over_what_clients_send_unasked() {
    let both = recipe(json!({"bg_type": "green", "background": {"type": "transparent"}}));
    assert_eq!(both.background, Background::Transparent);
}

#[test]
fn a_start_says_some_of_it_anew() {
    let draft =
        asked(json!({"model": "forest", "bg_type": "custom", "bg_color": [1, 0, 0], "auto_start": false})).unwrap();
    let started = |value| {
        let request = start(value, &draft.said, &terms()).unwrap();
        let Recipe::RemoveBackground(recipe) = request.outputs[0].recipe.clone() else { panic!() };
        (recipe.model, recipe.background, recipe.format.as_str(), request.draft)
    };
    let red = Background::Color { color: Rgb([255, 0, 0]) };
    assert_eq!(started(json!({})), ("forest".to_owned(), red, "webm", false));
    let blue = Background::Color { color: Rgb([0, 0, 255]) };
    assert_eq!(started(json!({"bg_color": [0, 0, 1]})).1, blue);
    assert_eq!(started(json!({"background": {"type": "transparent"}})).1, Background::Transparent);
    assert_eq!(started(json!({"model": "original", "output_format": "mov"})).0, "chroma");
    assert_eq!(
        started(json!({"video_url": "https://example.com/other.mp4"})).0,
        "forest",
        "the video is not said anew"
    );
    assert!(start(json!({"model": "pro"}), &draft.said, &terms()).is_err());
}

#[test]
fn a_start_that_says_nothing_is_known_by_it() {
    assert!(!overrides(&json!({})));
    assert!(!overrides(&json!({"model": null, "extra": 1})));
    assert!(overrides(&json!({"webhook_url": "https://example.com"})));
    assert!(overrides(&json!({"composition": {}})));
}

#[test]
fn names_and_prices_are_the_operators() {
    assert_eq!(terms().names(), ["light", "original", "chroma", "forest"]);
    assert_eq!(terms().rate("pro"), CreditRate(180));
    assert_eq!(terms().rate("forest"), CreditRate(60));
    assert_eq!(Terms::default().rate("original"), CreditRate(0));
}
