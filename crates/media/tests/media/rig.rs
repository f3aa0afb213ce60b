//! A toolbox over the real tools, a scratch folder, and the whole way of a job in one call.

use std::path::{Path, PathBuf};
use std::time::Duration;

use reelhook_domain::failure::JobFailure;
use reelhook_domain::form::Form;
use reelhook_domain::recipe::Recipe;
use reelhook_media::{
    Compared, Damage, Expectation, Further, Launcher, MediaError, Plan, Product, Receipt, Samples, SandboxMode, Source,
    Step, ToolSettings, Toolbox, Watch, plan,
};
use serde_json::Value;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

pub(crate) fn settings() -> ToolSettings {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_reelhook-sandbox"));
    let launcher = Launcher { program, args: Vec::new() };
    ToolSettings { sandbox: SandboxMode::Require, stall: Duration::from_secs(30), ..ToolSettings::new(launcher) }
}

pub(crate) struct Rig {
    pub(crate) toolbox: Toolbox,
    pub(crate) folder: TempDir,
}

/// A product with its plan and, when it passed, its receipt.
pub(crate) struct Made {
    pub(crate) product: Product,
    pub(crate) path: PathBuf,
    pub(crate) receipt: Receipt,
}

impl Rig {
    pub(crate) async fn new() -> Self {
        Self::with(settings()).await
    }

    pub(crate) async fn with(settings: ToolSettings) -> Self {
        let toolbox = Toolbox::detect(settings).await.expect("the tools are there");
        Self { toolbox, folder: tempfile::tempdir().expect("a folder") }
    }

    /// Where a test keeps its clips: outside of what tools may touch, but for the input itself.
    pub(crate) fn clip(&self, name: &str) -> PathBuf {
        let clips = self.folder.path().join("clips");
        std::fs::create_dir_all(&clips).expect("a folder");
        clips.join(name)
    }

    pub(crate) fn scratch(&self) -> PathBuf {
        let scratch = self.folder.path().join("scratch");
        std::fs::create_dir_all(&scratch).expect("a folder");
        scratch
    }

    pub(crate) async fn probe(&self, input: &Path) -> Result<Source, MediaError> {
        self.toolbox.probe(input, &self.scratch()).await
    }

    pub(crate) fn plan(&self, source: &Source, recipes: &[Value], damage: Damage) -> Plan {
        let recipes: Vec<Recipe> = recipes.iter().map(|value| recipe(value.clone())).collect();
        plan(source, &[], &recipes.iter().collect::<Vec<_>>(), self.toolbox.capabilities(), damage)
    }

    pub(crate) async fn run(&self, step: &Step, input: &Path, source: &Source) -> Result<(), MediaError> {
        let cancel = CancellationToken::new();
        let watch = Watch { cancel: &cancel, progress: &|_| {} };
        self.toolbox.run(step, input, &[], &self.scratch(), source, watch).await.map(|_| ())
    }

    /// Measures a product, also against its source.
    pub(crate) async fn verify(
        &self,
        expect: &Expectation,
        path: &Path,
        input: &Path,
        source: &Source,
    ) -> Result<Receipt, MediaError> {
        let compared = Compared { input, source, samples: &Samples::default() };
        let verified = self.toolbox.verify_beside(expect, path, &self.scratch(), compared).await;
        if let Ok(receipt) = &verified {
            for check in receipt.checks.iter().filter(|check| check.name == "seen") {
                let kind = expect.seen.map(|seen| format!("{:?}", seen.likeness)).unwrap_or_default();
                evidence(&format!("{kind}\t{}\t{}", expect.format, check.measured));
            }
        }
        verified
    }

    /// The whole way of one input to some outputs; products in the order of the outputs.
    pub(crate) async fn make_all(
        &self,
        input: &Path,
        recipes: &[Value],
        damage: Damage,
    ) -> Result<Vec<Made>, MediaError> {
        let source = self.probe(input).await?;
        let plan = self.plan(&source, recipes, damage);
        if let Some((_, refusal)) = plan.refused.into_iter().next() {
            return Err(MediaError::Failed(refusal));
        }
        let mut made = Vec::new();
        for step in &plan.steps {
            self.run(step, input, &source).await?;
            for product in &step.products {
                let path = self.scratch().join(&product.file_name);
                let receipt = self.verify(&product.expect, &path, input, &source).await?;
                made.push(Made { product: product.clone(), path, receipt });
            }
        }
        made.sort_by_key(|made| made.product.output);
        Ok(made)
    }

    /// The way of one output that reads a further input, called `behind`.
    pub(crate) async fn make_before(&self, input: &Path, behind: &Path, value: Value) -> Result<Made, MediaError> {
        let source = self.probe(input).await?;
        let further =
            [Further { name: "behind".to_owned(), path: behind.to_owned(), source: self.probe(behind).await? }];
        let capabilities = self.toolbox.capabilities();
        let mut plan = plan(&source, &further, &[&recipe(value)], capabilities, Damage::Strict);
        if let Some((_, refusal)) = plan.refused.into_iter().next() {
            return Err(MediaError::Failed(refusal));
        }
        let cancel = CancellationToken::new();
        let watch = Watch { cancel: &cancel, progress: &|_| {} };
        let step = &plan.steps[0];
        self.toolbox.run(step, input, &further, &self.scratch(), &source, watch).await?;
        let product = plan.steps[0].products.remove(0);
        let path = self.scratch().join(&product.file_name);
        let receipt = self.verify(&product.expect, &path, input, &source).await?;
        Ok(Made { product, path, receipt })
    }

    pub(crate) async fn make(&self, input: &Path, recipe: Value) -> Result<Made, MediaError> {
        self.make_all(input, &[recipe], Damage::Strict).await.map(|mut made| made.remove(0))
    }

    /// Some inputs in their order to one output.
    pub(crate) async fn join(&self, inputs: &[&Path], value: Value) -> Result<Made, MediaError> {
        let source = self.probe(inputs[0]).await?;
        let mut further = Vec::new();
        for (number, path) in inputs.iter().enumerate().skip(1) {
            let source = self.probe(path).await?;
            further.push(Further { name: format!("in_{}", number + 1), path: path.to_path_buf(), source });
        }
        let plan = plan(&source, &further, &[&recipe(value)], self.toolbox.capabilities(), Damage::Strict);
        if let Some((_, refusal)) = plan.refused.into_iter().next() {
            return Err(MediaError::Failed(refusal));
        }
        let (cancel, scratch) = (CancellationToken::new(), self.scratch());
        let watch = Watch { cancel: &cancel, progress: &|_| {} };
        self.toolbox.run(&plan.steps[0], inputs[0], &further, &scratch, &source, watch).await?;
        let product = plan.steps[0].products[0].clone();
        let path = scratch.join(&product.file_name);
        let receipt = self.verify(&product.expect, &path, inputs[0], &source).await?;
        Ok(Made { product, path, receipt })
    }

    /// The failure of a way that must not succeed.
    pub(crate) async fn fail(&self, input: &Path, recipe: Value) -> JobFailure {
        match self.make(input, recipe).await {
            Err(error) => error.failure().unwrap_or_else(|| panic!("not a failure of the job: {error:?}")).clone(),
            Ok(made) => panic!("made {:?} of {}", made.receipt, input.display()),
        }
    }
}

/// Notes how far a right result is from its source: what the bounds are set from (docs/media.md, "What is seen").
fn evidence(line: &str) {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("seen");
    std::fs::create_dir_all(&folder).expect("a folder");
    let name = format!("{}-{:?}.tsv", std::process::id(), std::thread::current().id());
    let file = std::fs::OpenOptions::new().create(true).append(true).open(folder.join(name));
    std::io::Write::write_all(&mut file.expect("a file"), format!("{line}\n").as_bytes()).expect("a line");
}

pub(crate) fn recipe(value: Value) -> Recipe {
    Form::read(value, Recipe::read).expect("a recipe that can be read")
}
