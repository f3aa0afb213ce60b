//! Whether products are what their source is: what is seen and what is heard, beside what [`verify`] measures of each.
//!
//! All products of a step are measured first. What is compared of them and of their source is then decoded in one run.

use std::path::Path;

use crate::error::MediaError;
use crate::heard::Hearing;
use crate::probe::Source;
use crate::samples::{Samples, Wanted, take_all};
use crate::seen::{Made, Sight};
use crate::tools::Toolbox;
use crate::verify::{self, Check, Expectation, Receipt};

/// The source that a product is compared with.
#[derive(Debug, Clone, Copy)]
pub struct Compared<'a> {
    /// Where it lies.
    pub input: &'a Path,
    /// What it holds.
    pub source: &'a Source,
    /// What was decoded of it for products before.
    pub samples: &'a Samples,
}

/// Measures products, and compares each with the source. The answers are in the order of the products.
pub(crate) async fn verify_all(
    toolbox: &Toolbox,
    products: &[(&Expectation, &Path)],
    scratch: &Path,
    compared: Compared<'_>,
) -> Vec<Result<Receipt, MediaError>> {
    let compares = Some(compared).filter(|_| toolbox.settings().compare);
    let mut measured = Vec::with_capacity(products.len());
    for (expect, file) in products {
        measured.push(verify::measure(toolbox, expect, file, scratch, compares).await);
    }
    let Some(compared) = compares else {
        return measured.into_iter().map(|measured| measured.map(|(receipt, _)| receipt)).collect();
    };
    let samples: Vec<Samples> = products.iter().map(|_| Samples::default()).collect();
    let besides: Vec<Option<Beside<'_>>> = products
        .iter()
        .zip(&measured)
        .zip(&samples)
        .map(|((&(expect, file), measured), samples)| {
            let (receipt, product) = measured.as_ref().ok()?;
            Some(Beside::of(toolbox, expect, compared, (file, samples), receipt, product.as_ref()))
        })
        .collect();
    let wanted: Vec<Wanted<'_>> = besides.iter().flatten().flat_map(|beside| beside.wanted(compared)).collect();
    // What could not be taken now is asked for once more by the check that needs it, which tells why.
    if let Err(error) = take_all(toolbox, &wanted, scratch).await {
        tracing::info!(error = %error, "what is compared could not be taken at once");
    }
    drop(wanted);
    let mut checks = Vec::with_capacity(products.len());
    for beside in besides {
        checks.push(match beside {
            Some(beside) => beside.check(toolbox, scratch).await,
            None => Ok(Vec::new()),
        });
    }
    let judged = |(measured, checks): (Result<(Receipt, _), _>, Result<Vec<Check>, _>)| {
        let mut receipt = measured?.0;
        receipt.checks.extend(checks?);
        match verify::failure(&receipt.checks) {
            Some(failure) => Err(MediaError::Failed(failure)),
            None => Ok(receipt),
        }
    };
    measured.into_iter().zip(checks).map(judged).collect()
}

/// A product beside its source.
struct Beside<'a> {
    file: &'a Path,
    samples: &'a Samples,
    sight: Option<Sight<'a>>,
    hearing: Option<Hearing<'a>>,
}

impl<'a> Beside<'a> {
    fn of(
        toolbox: &'a Toolbox,
        expect: &Expectation,
        compared: Compared<'a>,
        (file, samples): (&'a Path, &'a Samples),
        receipt: &'a Receipt,
        product: Option<&Source>,
    ) -> Self {
        let made = receipt.info.video.as_ref().and_then(|video| Made::of(expect.format, file, samples, video));
        let kind = (expect.format.is_still(), expect.alpha);
        let sight = expect.seen.zip(made).and_then(|(seen, made)| Sight::of(toolbox, seen, kind, compared, made));
        let hearing = expect.heard.zip(product);
        let hearing = hearing.and_then(|(heard, product)| Hearing::of(heard, compared, (file, samples), product));
        Self { file, samples, sight, hearing }
    }

    /// What its checks ask for in any case.
    fn wanted<'b>(&'b self, compared: Compared<'b>) -> [Wanted<'b>; 2] {
        let (mut there, mut here) = (Vec::new(), Vec::new());
        if let Some((source, product)) = self.sight.as_ref().map(Sight::taps) {
            there.push(source);
            here.push(product);
        }
        if let Some((source, product)) = self.hearing.as_ref().map(Hearing::taps) {
            there.extend_from_slice(source);
            here.extend_from_slice(product);
        }
        [
            Wanted { samples: compared.samples, file: compared.input, taps: there },
            Wanted { samples: self.samples, file: self.file, taps: here },
        ]
    }

    async fn check(&self, toolbox: &Toolbox, scratch: &Path) -> Result<Vec<Check>, MediaError> {
        let mut checks = Vec::new();
        if let Some(sight) = &self.sight {
            checks.extend(sight.check(scratch).await?);
        }
        if let Some(hearing) = &self.hearing {
            checks.extend(hearing.check(toolbox, scratch).await?);
        }
        Ok(checks)
    }
}
