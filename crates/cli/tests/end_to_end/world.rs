//! A server in a folder of its own, and a client that talks to it.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Method};
use reelhook_egress::{Client, Failure, Policy, Request, RequestBody, Settings, SystemResolver};
use reelhook_testkit::Contract;
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;
use url::Url;

/// Long enough for any machine; only turns a hang into a failure.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// How a server is started.
#[derive(Debug, Clone, Default)]
pub(crate) struct Serve {
    flags: Vec<String>,
    crash_at: Option<String>,
    stderr: Stderr,
    shell: Option<String>,
}

/// Where a server writes its log.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) enum Stderr {
    /// To a file, which [`World::log`] reads.
    #[default]
    File,
    /// To a disk that is full.
    Full,
    /// To a pipe whose reader is gone.
    Closed,
    /// To a pipe that is not read before [`World::unread`] gives it.
    Unread,
}

impl Serve {
    /// As its operator would run it for the world.
    pub(crate) fn public() -> Self {
        Self::default()
    }

    /// With `--dev`, so that it reaches the receivers and origins of tests.
    pub(crate) fn dev() -> Self {
        Self { flags: vec!["--dev".to_owned()], ..Self::default() }
    }

    /// On that port, instead of one that is free.
    pub(crate) fn listening_on(self, port: u16) -> Self {
        self.set("listen", format_args!("127.0.0.1:{port}"))
    }

    /// With one more setting.
    pub(crate) fn set(mut self, key: &str, value: impl std::fmt::Display) -> Self {
        self.flags.extend(["--set".to_owned(), format!("{key}={value}")]);
        self
    }

    /// With its log there.
    pub(crate) fn stderr(self, stderr: Stderr) -> Self {
        Self { stderr, ..self }
    }

    /// Started by a shell that does this first.
    pub(crate) fn after(self, shell: &str) -> Self {
        Self { shell: Some(shell.to_owned()), ..self }
    }

    /// Killed where the code passes that point.
    #[cfg(feature = "failpoints")]
    pub(crate) fn crash_at(self, point: &str) -> Self {
        Self { crash_at: Some(point.to_owned()), ..self }
    }
}

/// A server's process.
struct Server {
    child: Child,
    url: Url,
    // Kept open, so that the server never writes into a closed pipe.
    _stdout: Lines<BufReader<ChildStdout>>,
}

/// A data folder, perhaps a server that runs over it, and its first key.
pub(crate) struct World {
    folder: TempDir,
    data: PathBuf,
    http: Client,
    server: Option<Server>,
    unread: Option<std::io::PipeReader>,
    key: String,
}

/// What a server answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{} with a body that is not JSON ({error}): {:?}", self.status, self.body))
    }

    /// The body as JSON, of an answer with that status.
    pub(crate) fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        self.json()
    }

    /// The paths of what was wrong, of an answer of 422.
    pub(crate) fn violations(&self) -> Vec<String> {
        let problem = self.expect(422);
        let violations = problem["violations"].as_array().expect("422 lists violations");
        violations.iter().map(|violation| violation["path"].as_str().expect("a path is text").to_owned()).collect()
    }
}

/// `reelhook` with these arguments and none of our variables.
#[expect(clippy::disallowed_methods, reason = "the program under test is no child of a job")]
fn reelhook(arguments: impl IntoIterator<Item = impl AsRef<std::ffi::OsStr>>) -> Command {
    command(Command::new(env!("CARGO_BIN_EXE_reelhook")), arguments)
}

/// The same after a shell did that.
#[expect(clippy::disallowed_methods, reason = "the program under test is no child of a job")]
fn reelhook_after(shell: &str, arguments: impl IntoIterator<Item = impl AsRef<std::ffi::OsStr>>) -> Command {
    let mut started = Command::new("bash");
    started.args(["-c", &format!("{shell}; exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_reelhook")]);
    command(started, arguments)
}

fn command(mut command: Command, arguments: impl IntoIterator<Item = impl AsRef<std::ffi::OsStr>>) -> Command {
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("REELHOOK_")) {
        command.env_remove(name);
    }
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    command
}

impl World {
    /// A fresh folder with a server that answers.
    pub(crate) async fn start(serve: Serve) -> Self {
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let data = folder.path().join("data");
        Self::start_over(folder, data, serve).await
    }

    /// The same over a data folder that lies elsewhere.
    pub(crate) async fn start_over(folder: TempDir, data: PathBuf, serve: Serve) -> Self {
        let settings = Settings { policy: Policy::unrestricted(), ..Settings::default() };
        let http = Client::new(settings, Arc::new(SystemResolver)).expect("the settings are sound");
        let mut world = Self { folder, data, http, server: None, unread: None, key: String::new() };
        assert!(world.serve(serve).await, "the server did not start");
        assert!(world.key.starts_with("rh_"), "the first start tells a key");
        world
    }

    /// Starts a server over the folder; false when it died before it listened.
    pub(crate) async fn serve(&mut self, serve: Serve) -> bool {
        assert!(self.server.is_none(), "one server at a time");
        let log = fs::File::options().create(true).append(true).open(self.folder.path().join("log"));
        let arguments = ["serve", "--listen", "127.0.0.1:0", "--data"];
        let mut command = match &serve.shell {
            Some(shell) => reelhook_after(shell, arguments),
            None => reelhook(arguments),
        };
        command.arg(&self.data).args(serve.flags);
        command.envs(serve.crash_at.map(|point| ("REELHOOK_CRASH_AT", point)));
        let stderr: Stdio = match serve.stderr {
            Stderr::File => log.expect("the folder can be written to").into(),
            Stderr::Full => fs::File::options().write(true).open("/dev/full").expect("the system has it").into(),
            Stderr::Closed => std::io::pipe().expect("there is room for a pipe").1.into(),
            Stderr::Unread => {
                let (reader, writer) = std::io::pipe().expect("there is room for a pipe");
                self.unread = Some(reader);
                writer.into()
            }
        };
        command.stdout(Stdio::piped()).stderr(stderr);
        let mut child = command.spawn().expect("the program was built for this test");
        // The writing ends that this process has would keep a pipe open.
        drop(command);
        let mut lines = BufReader::new(child.stdout.take().expect("it is a pipe")).lines();
        let url = timeout(PATIENCE, async {
            while let Some(line) = lines.next_line().await.expect("the program prints text") {
                if let Some(key) = line.strip_prefix("  ").filter(|text| text.starts_with("rh_")) {
                    key.clone_into(&mut self.key);
                }
                if let Some(url) = line.strip_prefix("Reelhook listens on ") {
                    return Some(url.parse().expect("it listens on a URL"));
                }
            }
            None
        });
        let Some(url) = url.await.expect("the server says where it listens, or ends") else {
            child.wait().await.expect("the program ends");
            return false;
        };
        self.server = Some(Server { child, url, _stdout: lines });
        if let Ok(key) = fs::read_to_string(self.data.join("first-api-key")) {
            key.trim().clone_into(&mut self.key);
        }
        true
    }

    /// What a server says that does not start over a fresh folder.
    pub(crate) async fn refused(serve: Serve) -> String {
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let mut command = reelhook(["serve", "--data"]);
        let output = command.arg(folder.path().join("data")).args(serve.flags).output();
        let output = timeout(PATIENCE, output).await.expect("it ends").expect("the program runs");
        assert!(!output.status.success());
        String::from_utf8(output.stderr).expect("the program prints text")
    }

    fn server(&self) -> &Server {
        self.server.as_ref().expect("a server runs")
    }

    /// The first key.
    pub(crate) fn key(&self) -> String {
        self.key.clone()
    }

    /// The data folder.
    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// The id of the server's process.
    pub(crate) fn pid(&self) -> u32 {
        self.server().child.id().expect("the server was not waited for")
    }

    /// Asks the server to end, and waits until it has.
    pub(crate) async fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.death().await
    }

    /// Sends the server a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.pid() as i32).expect("no process has the id 0");
        kill_process(pid, signal).expect("the server is ours");
    }

    /// The reading end of a log that was not read so far.
    pub(crate) fn unread(&mut self) -> std::io::PipeReader {
        self.unread.take().expect("the server was started so, and nobody took it yet")
    }

    /// Ends the server as a power cut would.
    pub(crate) async fn kill(&mut self) {
        self.server.as_mut().expect("a server runs").child.start_kill().expect("the server is ours");
        self.death().await;
    }

    /// Waits until the server has ended.
    pub(crate) async fn death(&mut self) -> ExitStatus {
        let mut server = self.server.take().expect("a server runs");
        timeout(PATIENCE, server.child.wait()).await.expect("the server ends").expect("it can be waited for")
    }

    /// Whether the server has not ended.
    pub(crate) fn is_alive(&mut self) -> bool {
        let server = self.server.as_mut().expect("a server runs");
        server.child.try_wait().expect("it can be waited for").is_none()
    }

    /// The URL of a path.
    pub(crate) fn url(&self, path: &str) -> Url {
        self.server().url.join(path).expect("the path begins with a slash")
    }

    /// Runs `reelhook` with these arguments over the data folder and gives its output.
    pub(crate) async fn command(&self, arguments: &[&str]) -> String {
        let output = reelhook(arguments).arg("--data").arg(&self.data).output().await.expect("the program runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("the program prints text")
    }

    /// Runs `reelhook` with these arguments, which need neither a server nor a data folder.
    pub(crate) async fn own_command(&self, arguments: &[&str]) -> String {
        let output = reelhook(arguments).output().await.expect("the program runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("the program prints text")
    }

    /// Runs `reelhook` with these arguments over the data folder, after a shell did that, and gives its output.
    pub(crate) async fn command_after(&self, shell: &str, arguments: &[&str]) -> String {
        let output = reelhook_after(shell, arguments).arg("--data").arg(&self.data).output().await;
        String::from_utf8(output.expect("the program runs").stdout).expect("the program prints text")
    }

    /// Sets how many descriptors the server may have, and says how many it might have before.
    pub(crate) fn limit_descriptors(&self, limit: u64) -> u64 {
        let pid = Pid::from_raw(self.pid() as i32);
        let now = rustix::process::getrlimit(Resource::Nofile);
        let wanted = Rlimit { current: Some(limit), ..now };
        let before = rustix::process::prlimit(pid, Resource::Nofile, wanted).expect("the server is ours");
        before.current.expect("the limit has an end")
    }

    /// What the server logged so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).expect("the log is text")
    }

    /// What another account sends as its `authorization`.
    pub(crate) async fn another_account(&self) -> String {
        self.command(&["accounts", "create", "theirs"]).await;
        format!("Bearer {}", self.command(&["keys", "create", "--account", "theirs"]).await.trim())
    }

    /// Runs `reelhook` with these arguments over the data folder, perhaps into a crash point, and gives how it ended.
    pub(crate) async fn try_command(&self, arguments: &[&str], crash_at: Option<&str>) -> std::process::Output {
        let mut command = reelhook(arguments);
        command.arg("--data").arg(&self.data).envs(crash_at.map(|point| ("REELHOOK_CRASH_AT", point)));
        command.output().await.expect("the program runs")
    }

    /// Runs `reelhook` with these arguments against the server and gives its output.
    pub(crate) async fn client_command(&self, arguments: &[&str]) -> String {
        let url = self.url("/").to_string();
        let output = reelhook(arguments).args(["--url", &url, "--key", &self.key]).output().await;
        let output = output.expect("the program runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("the program prints text")
    }

    /// Runs `reelhook` with these arguments and variables and nothing else, in that folder; gives its exit code, what it
    /// printed, and what it remarked.
    pub(crate) async fn run_in(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> (i32, String, String) {
        let mut command = reelhook(arguments);
        command.current_dir(folder).envs(variables.iter().copied());
        let output = timeout(PATIENCE, command.output()).await.expect("the program ends").expect("the program runs");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the program prints text");
        (output.status.code().expect("no signal ended it"), text(output.stdout), text(output.stderr))
    }

    /// Runs `reelhook` with these arguments against the server; gives its exit code, what it printed, and what it remarked.
    pub(crate) async fn try_client(&self, arguments: &[&str]) -> (i32, String, String) {
        let url = self.url("/").to_string();
        let variables = [("REELHOOK_URL", url.as_str()), ("REELHOOK_KEY", &self.key)];
        Self::run_in(self.folder.path(), arguments, &variables).await
    }

    /// A folder of the test's own, where [`World::try_client`] runs.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// `reelhook` with these arguments against the server, silent unless told otherwise; ended when dropped.
    pub(crate) fn client(&self, arguments: &[&str]) -> Command {
        let mut command = reelhook(arguments);
        command.envs([("REELHOOK_URL", self.url("/").as_str()), ("REELHOOK_KEY", &self.key)]);
        command.current_dir(self.folder.path()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// Starts `reelhook` with these arguments against the server behind that URL; ended when dropped.
    pub(crate) fn spawn_client(&self, url: &Url, arguments: &[&str]) -> Child {
        let mut command = reelhook(arguments);
        command.args(["--url", url.as_str(), "--key", &self.key]).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().expect("the program runs")
    }

    /// Begins an exchange without a body, whose answer is read as it comes.
    pub(crate) async fn open(&self, method: Method, path: &str, headers: &[(&str, &str)]) -> reelhook_egress::Response {
        self.open_with(method, path, headers, Bytes::new()).await
    }

    /// Begins an exchange whose answer is read as it comes.
    pub(crate) async fn open_with(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> reelhook_egress::Response {
        let request = self.request(method, self.url(path), headers, body);
        self.http.open(request).await.expect("the server answers")
    }

    /// One exchange, with the key unless a header says otherwise. The answer is kept whole.
    pub(crate) async fn exchange(
        &self,
        method: Method,
        url: Url,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Result<Answer, Failure> {
        let contract = if self.is_native(&url) { Some(self.contract().await?) } else { None };
        let (named, path) = (method.to_string(), url.path().to_owned());
        let exchange = self.http.send(self.request(method, url, headers, body)).await?;
        let answer = Answer { status: exchange.status.as_u16(), headers: exchange.headers, body: exchange.body };
        if let Some(contract) = contract {
            let kind = answer.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
            let wrong = contract.judge(&named, &path, answer.status, kind, &answer.body);
            assert_eq!(wrong, None, "an answer is not as the document has it");
        }
        Ok(answer)
    }

    /// Whether a URL is one of the native API.
    fn is_native(&self, url: &Url) -> bool {
        let own = self.server.as_ref().map(|server| &server.url);
        own.is_some_and(|own| own.port() == url.port()) && url.path().starts_with("/v1/")
    }

    /// The document of the server, which is the same for all servers of a test.
    async fn contract(&self) -> Result<&'static Contract, Failure> {
        static CONTRACT: OnceLock<Contract> = OnceLock::new();
        if let Some(contract) = CONTRACT.get() {
            return Ok(contract);
        }
        let request = self.request(Method::GET, self.url("/openapi.json"), &[], Bytes::new());
        let document = self.http.send(request).await?;
        Ok(CONTRACT.get_or_init(|| Contract::new(&String::from_utf8_lossy(&document.body))))
    }

    fn request(&self, method: Method, url: Url, headers: &[(&str, &str)], body: Bytes) -> Request {
        let mut request = Request { method, deadline: PATIENCE, response_cap: 256 << 20, ..Request::post(url, body) };
        if request.method == Method::GET {
            request.body = RequestBody::Empty;
        }
        let bearer = format!("Bearer {}", self.key);
        for (name, value) in [("authorization", bearer.as_str())].iter().chain(headers) {
            let name = HeaderName::try_from(*name).expect("tests send real headers");
            request.headers.insert(name, HeaderValue::try_from(*value).expect("tests send real headers"));
        }
        request.headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
        request
    }

    /// Reads a path.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.get_with(path, &[]).await
    }

    /// Reads a path with these headers.
    pub(crate) async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.exchange(Method::GET, self.url(path), headers, Bytes::new()).await.expect("the server answers")
    }

    /// Reads a URL as somebody without a key.
    pub(crate) async fn get_as_stranger(&self, url: Url, headers: &[(&str, &str)]) -> Answer {
        self.exchange_as_stranger(Method::GET, url, headers).await
    }

    /// One exchange without a body, as somebody without a key.
    pub(crate) async fn exchange_as_stranger(&self, method: Method, url: Url, headers: &[(&str, &str)]) -> Answer {
        let mut request = self.request(method, url, headers, Bytes::new());
        request.headers.remove(AUTHORIZATION);
        let exchange = self.http.send(request).await.expect("the server answers");
        Answer { status: exchange.status.as_u16(), headers: exchange.headers, body: exchange.body }
    }

    /// Deletes a path.
    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.exchange(Method::DELETE, self.url(path), &[], Bytes::new()).await.expect("the server answers")
    }

    /// Posts JSON.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.post_with(path, &[], body.to_string()).await
    }

    /// Posts a body with these headers.
    pub(crate) async fn post_with(&self, path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Answer {
        self.exchange(Method::POST, self.url(path), headers, body.into()).await.expect("the server answers")
    }

    /// Uploads bytes under a name and gives the answer.
    pub(crate) async fn send(&self, name: &str, bytes: impl Into<Bytes>) -> Answer {
        let mut url = self.url("/v1/uploads");
        url.query_pairs_mut().append_pair("name", name);
        let headers = [("content-type", "application/octet-stream")];
        self.exchange(Method::POST, url, &headers, bytes.into()).await.expect("the server answers")
    }

    /// Uploads bytes under a name and gives the upload's id.
    pub(crate) async fn upload(&self, name: &str, bytes: impl Into<Bytes>) -> String {
        let upload = self.send(name, bytes).await.expect(201);
        upload["id"].as_str().expect("an upload has an id").to_owned()
    }

    /// Submits a job and gives its id.
    pub(crate) async fn submit(&self, job: &Value) -> String {
        let job = self.post("/v1/jobs", job).await.expect(202);
        job["id"].as_str().expect("a job has an id").to_owned()
    }

    /// A job as it is now.
    pub(crate) async fn job(&self, id: &str) -> Value {
        self.get(&format!("/v1/jobs/{id}")).await.expect(200)
    }

    /// Follows a job until it is as wanted, and gives it.
    pub(crate) async fn job_when(&self, id: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let url = self.url(&format!("/v1/jobs/{id}/events"));
        let request = self.request(Method::GET, url, &[("accept", "text/event-stream")], Bytes::new());
        let mut frames = self.http.open(request).await.expect("the server answers").body;
        loop {
            let ended = !matches!(frames.next().await, Some(Ok(_)));
            let job = self.job(id).await;
            if wanted(&job) {
                return job;
            }
            assert!(!ended, "the job's events ended, or did not within {PATIENCE:?}: {job:#}");
        }
    }

    /// Follows a job to its end, and gives it.
    pub(crate) async fn job_at_end(&self, id: &str) -> Value {
        self.job_when(id, |job| !job["finished_at"].is_null()).await
    }

    /// Follows a job to its end, which must be that state, and gives it.
    pub(crate) async fn job_ended(&self, id: &str, state: &str) -> Value {
        let job = self.job_at_end(id).await;
        assert_eq!(job["state"], state, "{job:#}");
        job
    }

    /// Downloads every output of a completed job by its signed link and checks it against what the job says.
    pub(crate) async fn check_outputs(&self, job: &Value) {
        for output in job["outputs"].as_array().expect("a job has outputs") {
            assert_eq!(output["state"], "completed", "{output:#}");
            let file = &output["file"];
            let link: Url = file["url"].as_str().expect("a file has a link").parse().expect("a link is a URL");
            // The port is another one after a restart.
            let link = self.url(&format!("{}?{}", link.path(), link.query().expect("a link is signed")));
            let answer = self.get_as_stranger(link, &[]).await;
            assert_eq!(answer.status, 200);
            assert_eq!(answer.body.len() as u64, file["size_bytes"]);
            assert_eq!(hex::encode(Sha256::digest(&answer.body)), file["sha256"].as_str().expect("a file has a hash"));
        }
    }

    /// The encoders among the processes that the server started.
    pub(crate) fn encoders(&self) -> Vec<u32> {
        self.family().into_iter().filter(|process| process.name == "ffmpeg").map(|process| process.pid).collect()
    }

    /// The processes that the server started, and those that they started.
    pub(crate) fn children(&self) -> Vec<u32> {
        self.family().into_iter().map(|process| process.pid).collect()
    }

    fn family(&self) -> Vec<Process> {
        let (mut family, mut rest) = (Vec::new(), processes());
        let mut parents = vec![self.pid()];
        while let Some(parent) = parents.pop() {
            for child in rest.extract_if(.., |process| process.parent == parent) {
                parents.push(child.pid);
                family.push(child);
            }
        }
        family
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = fs::read(self.folder.path().join("log")).unwrap_or_default();
            let tail = log.len().saturating_sub(16 * 1024);
            let _ = std::io::stderr().write_all(&[b"the server's log ends:\n", &log[tail..]].concat());
        }
    }
}

struct Process {
    pid: u32,
    parent: u32,
    name: String,
}

/// Every process of the machine that has not ended.
fn processes() -> Vec<Process> {
    let folders = fs::read_dir("/proc").expect("Linux shows processes");
    let stats = folders.flatten().filter_map(|folder| fs::read_to_string(folder.path().join("stat")).ok());
    stats.filter_map(|stat| process(&stat)).collect()
}

/// Reads `PID (NAME) STATE PARENT ...`, of which the name may hold anything. Source: `proc_pid_stat(5)`.
fn process(stat: &str) -> Option<Process> {
    let (pid, rest) = stat.split_once(" (")?;
    let (name, rest) = rest.rsplit_once(") ")?;
    let mut words = rest.split(' ');
    let state = words.next()?;
    let parent = words.next()?.parse().ok()?;
    (state != "Z").then_some(Process { pid: pid.parse().ok()?, parent, name: name.to_owned() })
}

/// Whether a process has not ended.
pub(crate) fn is_running(pid: u32) -> bool {
    processes().iter().any(|process| process.pid == pid)
}

/// Asks again until the answer is yes: for what no event tells.
pub(crate) async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let asking = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(timeout(PATIENCE, asking).await.is_ok(), "not within {PATIENCE:?}: {what}");
}

/// A program in a folder that does what the lines of shell say.
pub(crate) fn script(folder: &Path, name: &str, lines: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let path = folder.join(name);
    fs::write(&path, format!("#!/bin/sh\n{lines}\n")).expect("the folder can be written to");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("the file is ours");
    path
}
