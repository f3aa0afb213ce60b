//! Whether an account can pay, as far as it is known before a job is kept.

use std::time::Duration;

use http::StatusCode;
use reelhook_domain::credit::CreditRate;
use reelhook_domain::job::{InputSource, InputSpec};

use super::{Caller, Desk};
use crate::problem::Problem;

impl Desk {
    /// Refuses a job that its account cannot pay for. What its input will take is known of an upload that was looked at;
    /// otherwise there must be something left, and the worker asks again once it knows.
    pub(super) async fn check_credits(
        &self,
        caller: Caller,
        rate: Option<CreditRate>,
        inputs: &[InputSpec],
    ) -> Result<(), Problem> {
        let Some(rate) = rate.filter(|rate| rate.0 > 0) else { return Ok(()) };
        let Some(balance) = self.store().balance(caller.account).await? else { return Ok(()) };
        let price = match inputs.first().map(|input| &input.source) {
            Some(InputSource::Upload(id)) => {
                let upload = self.store().upload(caller.account, *id).await?;
                let seconds = upload.said["media"]["duration_seconds"].as_f64().filter(|seconds| *seconds > 0.0);
                seconds.map(|seconds| rate.price(Duration::from_secs_f64(seconds.min(1e9))))
            }
            _ => None,
        };
        let price = price.unwrap_or(1);
        if i64::try_from(price).is_ok_and(|price| price <= balance) {
            return Ok(());
        }
        let detail = format!("the job costs at least {price} credits; the account has {balance}");
        Err(Problem::new(StatusCode::PAYMENT_REQUIRED, "insufficient_credits", detail))
    }
}
