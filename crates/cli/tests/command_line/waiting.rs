//! `submit --wait` where stderr is not a terminal: plain lines that never go back, and what was won.

use reelhook_testkit::clips::{self, Clip};

use crate::world::{Serve, World};

#[tokio::test(flavor = "multi_thread")]
async fn progress_is_plain_lines_and_the_end_says_what_was_won() {
    let world = World::start(Serve::dev()).await;
    let clip = clips::bytes(Clip::Video);
    std::fs::write(world.folder().join("clip.mp4"), &clip).unwrap();
    let arguments =
        ["submit", "clip.mp4", "--recipe", "compress", "--recipe", "thumbnail", "--wait", "--out", "results"];
    let (code, out, err) = world.try_client(&arguments).await;
    assert_eq!(code, 0, "{err}");
    let saved: Vec<_> = out.lines().collect();
    assert_eq!(saved.len(), 2, "paths alone: {out}");
    assert!(saved.iter().all(|path| world.folder().join(path).is_file()), "{out}");
    assert!(!err.contains('\u{1b}') && !err.contains('\r'), "no bars: {err:?}");

    let mut percents = Vec::new();
    let mut stages = std::collections::BTreeMap::<&str, Vec<&str>>::new();
    for line in err.lines() {
        if let Some((name, stage)) = line.split_once(": ") {
            stages.entry(name).or_default().push(stage);
        } else if let Some((percent, rest)) =
            line.split_once(" %  ").filter(|(percent, _)| percent.parse::<f64>().is_ok())
        {
            assert!(rest.contains(':'), "the time: {line}");
            percents.push(percent.parse::<f64>().unwrap());
        }
    }
    assert!(percents.is_sorted(), "{err}");
    for (name, stages) in &stages {
        let mut once = stages.clone();
        once.dedup();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), stages.len(), "{name} says each stage once: {err}");
        assert_eq!(stages.last(), Some(&"completed"), "{err}");
    }
    assert_eq!(stages.len(), 2, "{err}");
    for path in saved {
        let name = path.rsplit('/').next().unwrap();
        let won = err.lines().find(|line| line.starts_with(&format!("{name}  "))).unwrap_or_else(|| panic!("{err}"));
        assert!(won.contains(" -> ") && won.contains(" %)  checked ") && won.ends_with(" s"), "{won}");
        let made = std::fs::metadata(world.folder().join(path)).unwrap().len();
        let change = (made as f64 / clip.len() as f64 - 1.0) * 100.0;
        assert!(won.contains(&format!("({change:+.0} %)")), "{won}");
    }
}
