//! The journey of a job: fetch, probe, plan, run, verify, keep, finish. Forward only.
//!
//! What cannot be done is a value that ends the job ([`Trouble::Failed`], [`Trouble::Rejected`]); a journey that is no
//! longer wanted gives its lease back ([`Parting::Interrupted`]) and leaves nothing but what was kept already. Crash
//! points stand in the order of the walk.

mod archive;
mod cost;
mod download;
mod ending;
mod fetch;
mod make;
mod origin;
mod outline;
mod picture;
mod route;
mod still;
mod trouble;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fail::fail_point;
use reelhook_domain::ambient::Ambient;
use reelhook_domain::failure::{JobFailure, Stage};
use reelhook_domain::job::{InputFacts, Job, OnDamage, OutputState, Signal};
use reelhook_domain::price::{Encoding, Estimate};
use reelhook_egress::Client;
use reelhook_files::Files;
use reelhook_media::{Damage, MediaError, Reader, Readers, Source, Toolbox};
use reelhook_store::{ClaimedJob, FetchHeaders, JobEnd, Lease, OutputEnd, Store, StoreError};
use serde_json::Value;
use tempfile::TempDir;

use crate::held::Seat;
use crate::meter::Meter;
use crate::progress::FETCHED;
use crate::settings::WorkerSettings;
use fetch::Input;
pub(crate) use outline::outline;
use route::Route;
pub(crate) use trouble::out_of_disk;
use trouble::{OUT_OF_RESOURCES, Trouble, ffmpeg_missing, machine_failed};

/// How long a job rests that this process had no descriptors, memory or processes for.
const SHORTAGE_REST: Duration = Duration::from_secs(2);

/// Bytes of inputs that are little beside the room that the end of a job takes on the disk.
const LITTLE: u64 = 4 << 20;

/// What journeys work with.
pub(crate) struct Means {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) files: Files,
    pub(crate) egress: Client,
    pub(crate) toolbox: Option<Toolbox>,
    pub(crate) readers: Readers,
    pub(crate) ambient: Ambient,
    pub(crate) settings: WorkerSettings,
    pub(crate) meter: Arc<Meter>,
}

impl std::fmt::Debug for Means {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Means").field("files", &self.files).field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// How a journey came to its end.
#[derive(Debug)]
pub(crate) enum Parting {
    /// The claim is used up, or left to run out.
    Over,
    /// The work was not wanted any more. The lease may be lost already.
    Interrupted(Lease),
}

/// Where a walk led to.
enum Way {
    /// The job ends so.
    End(Signal),
    /// Its caller is asked to accept that first.
    Ask(Estimate),
}

/// A job on its way, and what became of it so far.
struct Walk<'a> {
    means: &'a Means,
    job: &'a Job,
    seat: &'a Seat,
    fetch_headers: &'a FetchHeaders,
    /// What is known of the inputs so far.
    inputs: Vec<InputFacts>,
    /// One for each output of the job: how it ended in this journey.
    ends: Vec<Option<OutputEnd>>,
    /// What each output encodes, as planned, so far as that is known.
    encodings: Vec<Vec<Encoding>>,
    /// The most that is missing from an output because the input was damaged.
    lost_seconds: f64,
    /// The largest share of a damaged picture that an output lacks.
    missing_share: f64,
    /// Where half-made things lie, once there are any.
    scratch: Option<TempDir>,
    /// Reads the job's pictures. It knows of the inputs once they are here.
    reader: Reader,
}

/// Walks one job to its end.
pub(crate) async fn journey(means: Arc<Means>, claimed: ClaimedJob, seat: Seat) -> Parting {
    let ClaimedJob { job, lease, claims, fetch_headers } = claimed;
    fail_point!("worker.claimed");
    let mut walk = Walk::new(&means, &job, &fetch_headers, &seat);
    let parting = walk_and_finish(&mut walk, lease, claims).await;
    walk.tidy().await;
    parting
}

async fn walk_and_finish(walk: &mut Walk<'_>, lease: Lease, claims: u32) -> Parting {
    let (means, job) = (walk.means, walk.job);
    let began = means.ambient.now();
    let walked = walk.walk(&lease, claims).await;
    walk.seat.gauge.stop();
    let signal = match walked {
        Ok(Way::End(signal)) => signal,
        Ok(Way::Ask(estimate)) => {
            walk.ask(lease, estimate).await;
            return Parting::Over;
        }
        Err(Trouble::Failed(failure)) => Signal::Fail(failure),
        Err(Trouble::Rejected(failure)) => Signal::Reject(failure),
        Err(Trouble::Interrupted) => match walk.seat.verdict() {
            Some(failure) => Signal::Fail(failure),
            None => return Parting::Interrupted(lease),
        },
        Err(Trouble::Store(error)) => {
            tracing::error!(%error, "the store failed; the job is tried again when its lease expires");
            return Parting::Over;
        }
    };
    if walk.is_short(&signal) {
        return walk.put_back(lease).await;
    }
    // Whoever waits for a small job need not wait for this; but where there was much, or the job failed, its end may need
    // the room.
    let fetched: u64 = walk.inputs.iter().map(|input| input.size_bytes).sum();
    if signal != Signal::Complete || fetched > LITTLE {
        walk.tidy().await;
    }
    fail_point!("worker.before_finish");
    let took = means.ambient.now().since(began);
    match walk.finish(lease, signal).await {
        Ok(ended) => {
            means.meter.ended(ended.state.name(), means.ambient.now().since(job.created_at));
            let code = ended.state.error().map(|error| error.code.as_str());
            tracing::info!(job.state = ended.state.name(), code, took_ms = took.as_millis() as u64, "the job ended");
        }
        Err(StoreError::LeaseLost) => tracing::info!("the job was ended by another process"),
        Err(error) => {
            tracing::error!(%error, "the end of a job was not written; it is tried again when its lease expires")
        }
    }
    fail_point!("worker.finished");
    Parting::Over
}

impl<'a> Walk<'a> {
    fn new(means: &'a Means, job: &'a Job, fetch_headers: &'a FetchHeaders, seat: &'a Seat) -> Self {
        Self {
            means,
            job,
            seat,
            fetch_headers,
            inputs: Vec::new(),
            ends: vec![None; job.outputs.len()],
            encodings: Vec::new(),
            lost_seconds: 0.0,
            missing_share: 0.0,
            scratch: None,
            reader: means.readers.reader(Vec::new(), means.files.scratch()),
        }
    }
}

impl Walk<'_> {
    async fn walk(&mut self, lease: &Lease, claims: u32) -> Result<Way, Trouble> {
        let most = self.means.settings.claims_before_giving_up;
        if claims > most {
            let message = format!("the server crashed {most} times while it ran this job");
            return Err(Trouble::Failed(JobFailure::server(Stage::Fetching, "gave_up", message)));
        }
        let failed = |error| Trouble::Failed(machine_failed(Stage::Fetching, &error));
        let scratch = TempDir::with_prefix_in("job-", self.means.files.scratch()).map_err(failed)?;
        let path = scratch.path().to_owned();
        self.seat.has_scratch(&path);
        self.scratch = Some(scratch);
        self.walk_within(lease, &path).await
    }

    /// Removes what is half-made.
    async fn tidy(&mut self) {
        let Some(scratch) = self.scratch.take() else { return };
        // A folder with a large input takes a while to remove.
        let removed = tokio::task::spawn_blocking(move || scratch.close()).await;
        if let Ok(Err(error)) = removed {
            tracing::warn!(%error, "the scratch folder of a job was not removed; the next start will");
        }
    }

    async fn walk_within(&mut self, lease: &Lease, scratch: &Path) -> Result<Way, Trouble> {
        let mut inputs = self.take_in(scratch).await?;
        fail_point!("worker.fetched");

        self.seat.gauge.note(Stage::Probing, FETCHED);
        let Some(first) = inputs.first() else {
            let failure = JobFailure::request(Stage::Probing, "no_input", "the job has no input");
            return Err(Trouble::Rejected(failure));
        };
        let routes = self.routes(first).await?;
        if Route::all(&routes, Route::is_archive) {
            return self.walk_archives(lease, &routes, first, scratch).await;
        }
        self.develop(&mut inputs, scratch).await?;
        // Pictures alone need no tool, neither to look at them nor to make them.
        if Route::all(&routes, Route::is_picture) {
            return self.walk_pictures(lease, &routes, &inputs, scratch).await;
        }
        self.walk_tools(lease, routes, &mut inputs, scratch).await
    }

    /// Fetches the inputs, which are known to the walk then.
    async fn take_in(&mut self, scratch: &Path) -> Result<Vec<Input>, Trouble> {
        let inputs = self.fetch(scratch).await?;
        self.inputs = inputs.iter().map(|input| input.facts.clone()).collect();
        let paths = inputs.iter().map(|input| input.path.clone()).collect();
        self.reader = self.means.readers.reader(paths, scratch);
        Ok(inputs)
    }

    /// The walk of outputs of which some need a tool.
    async fn walk_tools(
        &mut self,
        lease: &Lease,
        routes: Vec<Route>,
        inputs: &mut [Input],
        scratch: &Path,
    ) -> Result<Way, Trouble> {
        let probed = match &self.means.toolbox {
            Some(toolbox) => self.probe_all(toolbox, inputs, scratch).await.map(|sources| (toolbox, sources)),
            None => Err(Trouble::Failed(ffmpeg_missing(Stage::Probing))),
        };
        let (toolbox, sources) = match probed {
            Ok(probed) => probed,
            // What the reader makes of the picture does not share the fate of what tools would have made.
            Err(Trouble::Failed(failure) | Trouble::Rejected(failure)) if self.is_picture(inputs).await? => {
                let Some(routes) = Route::without_tools(&routes, &failure) else {
                    return Err(Trouble::Rejected(failure));
                };
                return self.walk_pictures(lease, &routes, inputs, scratch).await;
            }
            Err(trouble) => return Err(trouble),
        };
        let routes = &routes;
        fail_point!("worker.probed");
        let (estimate, _) = self.estimate(toolbox, inputs, &sources)?;
        if let Some(estimate) = estimate.as_ref().filter(|_| self.asks()) {
            return Ok(Way::Ask(estimate.clone()));
        }
        self.start(lease, estimate).await?;
        self.fail_strays(routes);
        self.make(toolbox, routes, inputs, &sources, scratch).await?;
        if let Some(first) = inputs.first() {
            self.make_pictures(routes, first, scratch).await?;
        }
        self.deliver(scratch).await?;
        Ok(Way::End(self.signal(sources.into_iter().find_map(|source| source.damage))))
    }

    /// Which route each output takes.
    async fn routes(&self, first: &Input) -> Result<Vec<Route>, Trouble> {
        let recipes: Vec<_> = self.job.outputs.iter().map(|output| output.spec.recipe.clone()).collect();
        let opened = self.archive_format(&first.path).await?;
        let path = first.path.clone();
        let look = move || Route::of_all(&recipes, &path, opened).map_err(MediaError::Io);
        self.aside(Stage::Probing, look).await
    }

    /// Notes the outputs for which nothing is made.
    fn fail_strays(&mut self, routes: &[Route]) {
        for place in self.open() {
            if let Some(Route::Nowhere(failure)) = routes.get(place) {
                self.fail(place, Value::Array(Vec::new()), failure.clone());
            }
        }
    }

    /// The input is known and good: the job is processing from here on.
    async fn start(&self, lease: &Lease, estimate: Option<Estimate>) -> Result<(), Trouble> {
        self.check_credits().await?;
        Self::note_start(self.means, lease, self.inputs.clone(), estimate).await
    }

    async fn note_start(
        means: &Means,
        lease: &Lease,
        inputs: Vec<InputFacts>,
        estimate: Option<Estimate>,
    ) -> Result<(), Trouble> {
        means.store.start_processing(lease, inputs, estimate).await?;
        fail_point!("worker.started");
        Ok(())
    }

    /// The outputs that no earlier run made, by their place.
    fn open(&self) -> impl Iterator<Item = usize> + use<> {
        let open: Vec<usize> =
            (0..self.job.outputs.len()).filter(|&place| !is_made(self.job.outputs[place].state)).collect();
        open.into_iter()
    }

    /// Whether its account can pay for it, now that its length is known.
    async fn check_credits(&self) -> Result<(), Trouble> {
        let known = Job { inputs: self.inputs.clone(), ..self.job.clone() };
        let Some(credits) = known.credits() else { return Ok(()) };
        let Some(balance) = self.means.store.balance(self.job.account).await? else { return Ok(()) };
        if i64::try_from(credits).is_ok_and(|credits| credits <= balance) {
            return Ok(());
        }
        let message = format!("the job costs {credits} credits; the account has {balance}");
        Err(Trouble::Failed(JobFailure::request(Stage::Probing, "insufficient_credits", message)))
    }

    /// Probes all inputs, which are then known. A picture is known by our own look at it, and probed as what stands in
    /// for it.
    async fn probe_all(
        &mut self,
        toolbox: &Toolbox,
        inputs: &mut [Input],
        scratch: &Path,
    ) -> Result<Vec<Source>, Trouble> {
        let mut sources = Vec::with_capacity(inputs.len());
        for (number, input) in inputs.iter_mut().enumerate() {
            let folder = scratch.join(format!("probe-{number}"));
            let known = self.stand_in(input, &scratch.join(format!("still-{number}.png"))).await?;
            let mut source = self.probe(toolbox, input.for_tools(), &folder).await?;
            self.inputs[number].media = Some(match known {
                Some(known) => still::stand_for(known, &mut source, input.facts.size_bytes),
                None => still::timed(source.info.clone()),
            });
            sources.push(source);
        }
        Ok(sources)
    }

    /// Probes an input. `folder` is made for it: what the tool may write to has nothing in it, the input least of all.
    async fn probe(&self, toolbox: &Toolbox, input: &Path, folder: &Path) -> Result<Source, Trouble> {
        make_folder(folder, Stage::Probing).await?;
        let probed = self.unless_interrupted(toolbox.probe(input, folder)).await?;
        let source = probed.map_err(|error| Trouble::with_media(Stage::Probing, error))?;
        match (&source.damage, self.damage()) {
            (Some(damage), Damage::Strict) => Err(Trouble::Failed(damage.clone())),
            _ => Ok(source),
        }
    }

    const fn damage(&self) -> Damage {
        match self.job.spec.on_damage {
            OnDamage::Strict => Damage::Strict,
            OnDamage::Salvage => Damage::Salvage,
        }
    }

    /// Does `work` unless it is not wanted any more.
    ///
    /// # Cancel safety
    /// `work` is dropped in its middle.
    async fn unless_interrupted<T>(&self, work: impl Future<Output = T>) -> Result<T, Trouble> {
        tokio::select! {
            biased;
            () = self.seat.cancel.cancelled() => Err(Trouble::Interrupted),
            done = work => Ok(done),
        }
    }

    fn signal(&self, damage: Option<JobFailure>) -> Signal {
        let failure = |end: &Option<OutputEnd>| end.as_ref().and_then(|end| end.error.clone());
        let failures: Vec<_> = self.ends.iter().map(failure).collect();
        let lost = (self.lost_seconds > 0.0).then(|| {
            let message = format!("the input is damaged; {:.3} seconds of it were lost", self.lost_seconds);
            JobFailure::input(Stage::Encoding, "input_damaged", message)
        });
        let missing = (self.missing_share > 0.0).then(|| {
            let percent = self.missing_share * 100.0;
            let message = format!("the input is damaged; its end is missing, {percent:.1} % of the picture");
            JobFailure::input(Stage::Encoding, "input_damaged", message)
        });
        ending::signal(&failures, damage.or(lost).or(missing))
    }

    /// Whether the job, or an output, came to nothing because this process lacked something.
    fn is_short(&self, signal: &Signal) -> bool {
        let of_job = match signal {
            Signal::Fail(failure) | Signal::Reject(failure) | Signal::CompletePartly(failure) => Some(failure),
            _ => None,
        };
        let of_outputs = self.ends.iter().flatten().filter_map(|end| end.error.as_ref());
        of_job.into_iter().chain(of_outputs).any(|failure| failure.code == OUT_OF_RESOURCES)
    }

    /// Puts the job back into the queue after a rest, as if it had not been claimed: what the process lacks is not the job's
    /// fault. Its slot rests too, for another job would fare no better.
    async fn put_back(&mut self, lease: Lease) -> Parting {
        tracing::warn!(
            rest_seconds = SHORTAGE_REST.as_secs(),
            "this process lacks descriptors, memory or processes; the job goes back into the queue"
        );
        self.tidy().await;
        let rested = self.unless_interrupted(tokio::time::sleep(SHORTAGE_REST)).await;
        if rested.is_err() && self.seat.verdict().is_none() {
            return Parting::Interrupted(lease);
        }
        if let Err(error) = self.means.store.release_jobs(vec![lease]).await {
            tracing::error!(%error, "the store failed; the job is tried again when its lease expires");
        }
        Parting::Over
    }

    async fn finish(&mut self, lease: Lease, signal: Signal) -> Result<Job, StoreError> {
        let cost = Some(self.cost());
        let (inputs, ends) = (std::mem::take(&mut self.inputs), std::mem::take(&mut self.ends));
        let outputs = ends.into_iter().flatten().collect();
        self.means.store.finish_job(lease, JobEnd { signal, inputs, outputs, cost }).await
    }
}

/// Makes a folder for what one step writes.
async fn make_folder(folder: &Path, stage: Stage) -> Result<(), Trouble> {
    let made = tokio::fs::create_dir(folder).await;
    made.map_err(|error| Trouble::Failed(machine_failed(stage, &error)))
}

/// Whether an output is left as an earlier run made it.
fn is_made(state: OutputState) -> bool {
    state == OutputState::Completed
}
