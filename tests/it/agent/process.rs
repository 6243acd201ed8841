//! An agent in a process of its own, to be killed: this test binary once more.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use swath::agent::{self, Machine, Options};
use swath::api::client::Client;

const VARIABLE: &str = "AGENT_UNDER_TEST";

/// What an agent of these tests is like.
pub(super) async fn options(folder: &Path, socket: &Path, id: &str) -> Options {
    Options {
        work_dir: folder.join("work"),
        machine: Machine::here(folder).unwrap(),
        start_dir: folder.to_owned(),
        program: crate::support::binary().into(),
        slots: 4,
        gpus: Vec::new(),
        agent: Some(id.to_owned()),
        sweep: None,
        take_over: false,
        client: Client::connect_unix(socket.to_owned()).await.unwrap(),
    }
}

/// An agent process; killed with SIGKILL when it is dropped.
pub(super) struct AgentProcess(Child);

impl AgentProcess {
    pub(super) fn spawn(folder: &Path, socket: &Path, id: &str) -> AgentProcess {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["agent::process::in_a_process_of_its_own", "--exact", "--nocapture"])
            .env(VARIABLE, format!("{}|{}|{id}", folder.display(), socket.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        AgentProcess(child)
    }

    pub(super) fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        // One that is dead already is as wanted.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for AgentProcess {
    fn drop(&mut self) {
        self.end();
    }
}

/// Not a test but the process that the others kill; by itself it does nothing.
#[test]
fn in_a_process_of_its_own() {
    let Ok(what) = std::env::var(VARIABLE) else { return };
    let [folder, socket, id] = what.split('|').collect::<Vec<_>>()[..] else { panic!("{what}") };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let _agent = agent::start(options(Path::new(folder), Path::new(socket), id).await);
        std::future::pending::<()>().await;
    });
}
